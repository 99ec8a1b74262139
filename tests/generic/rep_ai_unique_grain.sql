{# Fails for each value of the columns, taken together, that is in several rows; NULL is a value. #}
{% test rep_ai_unique_grain(model, columns) %}
    select
        {{ columns | join(', ') }},
        count(*) as row_count
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}
