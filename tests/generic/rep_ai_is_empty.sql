{#
    Fails for each row, and says what they are: how many of each kind (rows alike in `columns`) with
    one `example` each, and what to do about them.
#}
{% test rep_ai_is_empty(model, columns, example, advice, row_count='count(*)') %}
    {%- if execute and flags.WHICH in ('build', 'test') -%}
        {%- set shown = 20 -%}
        {%- set kinds = run_query(
            'select ' ~ columns | join(', ') ~ ', ' ~ row_count ~ ' as row_count'
            ~ ', min(' ~ example ~ ') as example from ' ~ model
            ~ ' group by ' ~ columns | join(', ')
            ~ ' order by row_count desc, ' ~ columns | join(', ')
            ~ ' limit ' ~ (shown + 1)
        ).rows -%}
        {%- set lines = [] -%}
        {%- for kind in kinds[:shown] -%}
            {%- set words = [] -%}
            {%- for column in columns -%}
                {%- do words.append(column ~ ' ' ~ kind[loop.index0] | string | truncate(60)) -%}
            {%- endfor -%}
            {%- set line = '{}: {}, such as {}'.format(
                words | join(', '),
                kind[columns | length],
                kind[columns | length + 1] | string | truncate(200)
            ) -%}
            {#- %r escapes what could play tricks on a terminal -#}
            {%- do lines.append('    ' ~ ('%r' | format(line))[1:-1]) -%}
        {%- endfor -%}
        {%- if kinds | length > shown -%}
            {%- do lines.append('    and more') -%}
        {%- endif -%}
        {%- set said = this.name ~ '\n' ~ lines | join('\n') ~ '\n    what to do: ' ~ advice -%}
        {%- if lines and config.get('severity') | lower == 'error' -%}
            {#- said under --quiet as well, as the failure is -#}
            {%- do print(said) -%}
        {%- elif lines -%}
            {%- do log(said, info=True) -%}
        {%- endif -%}
    {%- endif -%}
    select *
    from {{ model }}
{% endtest %}
