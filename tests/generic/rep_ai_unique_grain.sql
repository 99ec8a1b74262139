{#
    Fails for each value of the columns, taken together, that is in several rows; NULL is a value.
    A test that says by which kind of affected keys its rows are found (`touched`, in the column
    `key`, the first one unless said otherwise) reads what was touched since it last passed. The
    keys have to be listed by what the model is made of; staging, which is made of no such model,
    names the one that lists its deliveries (`listed_by`).
#}
{% test rep_ai_unique_grain(model, columns, touched=none, key=none, listed_by=none) %}
    select
        {{ columns | join(', ') }},
        count(*) as row_count
    from {{ model }}
    {%- if touched %}
    where {{ rep_ai_is_affected(key or columns[0], touched) }}
    {%- endif %}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}
