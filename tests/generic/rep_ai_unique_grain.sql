{#
    Fails for each value of the columns, taken together, that is in several rows; NULL is a value.
    A test that says what a build touches (`versions`, or all rows of `sessions`) reads the rows of
    the touched values alone: what was unique when it last passed, and was not touched since, is.
#}
{% test rep_ai_unique_grain(model, columns, touched=none) %}
    {%- set last_pass = rep_ai_last_build() if touched else 0 %}
    select
        {{ columns | join(', ') }},
        count(*) as row_count
    from {{ model }}
    {%- if last_pass %}
    where
        {{ columns[0] }} is null
        or {{ columns[0] }} in (
            select touched.{{ columns[0] }}
            from (select * from {{ model }}) as touched
            where
                {% if touched == 'versions' -%}
                {{ rep_ai_changed_since(last_pass) }}
                {%- else -%}
                session_id is null or session_id in ({{ rep_ai_changed('session', last_pass) }})
                {%- endif %}
        )
    {%- endif %}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}
