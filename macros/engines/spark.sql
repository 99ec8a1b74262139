{#
    What Spark, and so Databricks, writes in its own way; `../engines.sql` says what for. In its
    literals backslashes are doubled. The time zone of a session is UTC (profiles.yml).
#}

{% macro spark__rep_ai_time(text, least, greatest) -%}
    {#- leading zeros aside such a number has 12 or 13 digits; a cast would read `1.5` and ` 1` -#}
    {%- set milliseconds -%}
        cast(
            case
                when
                    translate({{ text }}, '0123456789', '') = ''
                    and length(trim(leading '0' from {{ text }})) between 12 and 13
                    then {{ text }}
            end as bigint
        )
    {%- endset -%}
    case
        when {{ milliseconds }} between {{ least }} and {{ greatest }}
            then timestamp_millis({{ milliseconds }})
    end
{%- endmacro %}

{# dbt's drops what is below a second, and fails where the time is NULL. #}
{% macro spark__rep_ai_later(timestamp, number, unit) -%}
    ({{ timestamp }} + interval '{{ number }}' {{ unit }})
{%- endmacro %}

{# dbt's fails where a time is NULL. #}
{% macro spark__rep_ai_milliseconds_between(start_at, end_at) -%}
    (unix_millis({{ end_at }}) - unix_millis({{ start_at }}))
{%- endmacro %}

{% macro spark__rep_ai_local_time(timestamp, zone) -%}
    from_utc_timestamp({{ timestamp }}, '{{ zone }}')
{%- endmacro %}

{% macro spark__rep_ai_weekday(timestamp) -%}
    extract(dayofweek_iso from {{ timestamp }})
{%- endmacro %}

{% macro spark__rep_ai_literal(text) -%}
    '{{ text | replace('\\', '\\\\') | replace("'", "\\'") }}'
{%- endmacro %}

{% macro spark__rep_ai_days_of(bounds) -%}
    select days.activity_date
    from {{ bounds }}
    lateral view
        explode(sequence({{ bounds }}.first_date, {{ bounds }}.last_date)) days as activity_date
{%- endmacro %}

{% macro spark__rep_ai_known(value, position, least_or_greatest, type) -%}
    {{ least_or_greatest }}_by(
        {{ value }}, case when {{ value }} is not null then {{ position }} end
    )
{%- endmacro %}

{% macro spark__rep_ai_regexp_extract(text, pattern) -%}
    {#- for Java `$` also stands before a last line feed -#}
    {%- set java = pattern | replace('$', '\\z') | replace('\\', '\\\\') -%}
    nullif(regexp_extract({{ text }}, '{{ java }}', 1), '')
{%- endmacro %}

{% macro spark__rep_ai_json_text(json, key) -%}
    {#- In an array, or what follows a first value is passed over. Any value is read as text: it is
        one where it reads as nothing else. -#}
    {%- set read_as -%}
        from_json(
            concat('[', {{ json }}, '\n]'),
            'array<struct<`{{ key }}`: %>>',
            map('allowNonNumericNumbers', 'false', 'allowSingleQuotes', 'false')
        )
    {%- endset -%}
    {%- set member = read_as ~ '[0].`' ~ key ~ '`' -%}
    case
        when
            size({{ read_as | replace('%', 'string') }}) = 1
            {%- for other in ('double', 'boolean', 'map<string, string>', 'array<string>') %}
            and {{ member | replace('%', other) }} is null
            {%- endfor %}
            then nullif({{ member | replace('%', 'string') }}, '')
    end
{%- endmacro %}

{# Read token by token, as Spark spells numbers anew when it takes JSON apart. #}
{% macro spark__rep_ai_member(json, name) -%}
    case
        when contains({{ json }}, '"{{ name }}"')
            then
                {%- set value -%}
                    try_element_at(
                        filter(
                            {{ spark__rep_ai_members(json) }}, each -> each.key = '"{{ name }}"'
                        ),
                        -1
                    ).value
                {%- endset %}
                case
                    when {{ value }} like '"%' then
                        get_json_object(concat('[', {{ value }}, ']'), '$[0]')
                    when {{ value }} != 'null' then {{ value }}
                end
    end
{%- endmacro %}

{% macro spark__rep_ai_without(json, names) -%}
    case
        when {{ json }} rlike '"({{ names | join('|') }})"'
            then
                nullif(
                    concat(
                        '{',
                        concat_ws(
                            ',',
                            transform(
                                filter(
                                    {{ spark__rep_ai_members(json) }},
                                    each -> each.key not in ('"{{ names | join('"\', \'"') }}"')
                                ),
                                each -> concat(each.key, ':', each.value)
                            )
                        ),
                        '}'
                    ),
                    '{}'
                )
        else {{ json }}
    end
{%- endmacro %}

{# The members of an object, `key` and `value` as they were written but for white space. #}
{% macro spark__rep_ai_members(json) -%}
    {%- set text = '"[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+"' -%}
    {%- set others = '[{}\\[\\]:,]|[^"{}\\[\\]:,\\s]+' -%}
    {%- set token = (text ~ '|' ~ others) | replace('\\', '\\\\') -%}
    {%- set nothing = 'cast(array() as array<struct<key string, value string>>)' -%}
    {#- how deep, in which member, and what of its value -#}
    {%- set state = "named_struct('depth', %s, 'key', %s, 'value', cast(%s as string), "
        ~ "'found', %s)" -%}
    {#- no value: the name of a member is awaited, or has just been read -#}
    aggregate(
        regexp_extract_all({{ json }}, '{{ token }}', 0),
        {{ state | format('0', "''", 'null', nothing) }},
        (so_far, token) -> case
            when so_far.depth = 1 and token in (',', '}')
                then {{ state | format(
                    "so_far.depth - if(token = '}', 1, 0)",
                    "''",
                    'null',
                    'if(so_far.value is null, so_far.found, '
                    ~ 'concat(so_far.found, array(struct(so_far.key, so_far.value))))'
                ) }}
            when so_far.depth = 1 and so_far.value is null
                then {{ state | format(
                    'so_far.depth',
                    "if(token = ':', so_far.key, token)",
                    "if(token = ':', '', null)",
                    'so_far.found'
                ) }}
            else {{ state | format(
                "so_far.depth + if(token in ('{', '['), 1, 0) - if(token in ('}', ']'), 1, 0)",
                'so_far.key',
                'if(so_far.depth = 0, null, concat(so_far.value, token))',
                'so_far.found'
            ) }}
        end,
        so_far -> so_far.found
    )
{%- endmacro %}

{# dbt lets no cast fail. #}
{% macro spark__rep_ai_fail(message) -%}
    cast(raise_error({{ message }}) as bigint)
{%- endmacro %}

{% macro spark__rep_ai_materialized(is_so) -%}
{%- endmacro %}

{# A CTE is a part of each query that reads it, and planned as often, unless chance is in it. #}
{% macro spark__rep_ai_is_computed_once() -%}
    rand() >= 0
{%- endmacro %}

{#
    The links are the places of an array: joins, each of a result with itself, would be planned a
    million times.
#}
{% macro spark__rep_ai_walk(rounds) -%}
first_steps as (

    select
        transform(
            array_sort(collect_list(struct(link_number, reached_number, least_number))),
            step -> struct(step.reached_number as reached, step.least_number as least)
        ) as steps
    from walked_0

),

walks as (

    select
        aggregate(
            sequence(1, {{ rounds }}),
            steps,
            (so_far, round) -> transform(
                so_far,
                step -> struct(
                    so_far[step.reached - 1].reached as reached,
                    least(step.least, so_far[step.reached - 1].least) as least
                )
            )
        ) as steps
    from first_steps

),

walked_{{ rounds }} as (

    select
        walks.place + 1 as link_number,
        walks.step.reached as reached_number,
        walks.step.least as least_number
    from (select posexplode(steps) as (place, step) from walks) as walks
    where {{ rep_ai_is_computed_once() }}

),

{% endmacro %}

{% macro spark__rep_ai_table_format(node, parted_by) -%}
    using {{ node.config.file_format }}
    {%- if parted_by %} partitioned by ({{ parted_by }}){% endif %}
{%- endmacro %}

{#
    Where Iceberg keeps views in a Hive metastore, `create or replace view` leaves the text that
    Hive has of a view as it was, and that is the one that Spark reads (Iceberg 1.10, Spark 3.5). A
    view with another text is dropped, so that it is made again; others stay, for those who read
    them.
#}
{% macro spark__rep_ai_drop_old_view() -%}
    {%- set view = load_relation(this) if config.get('file_format') == 'iceberg' -%}
    {%- if view and view.is_view
        and model.compiled_code.split() | join(' ') not in view.information.split() | join(' ') -%}
        drop view if exists {{ this }}
    {%- endif -%}
{%- endmacro %}

{% macro spark__rep_ai_moment() -%}
    unix_micros(current_timestamp())
{%- endmacro %}

{#
    Models that end at the same time write partitions of their own: one of two updates would fail.
    Nothing locks a table of Spark. Where another process has added rows to the model's while it was
    built, some may be there twice: no batch is noted, and the next run builds it anew.
#}
{% macro spark__rep_ai_set_watermark(batch, code) -%}
    {%- set is_watched = is_incremental() and config.get('file_format') == 'iceberg' -%}
    insert overwrite {{ rep_ai_watermarks() }} partition (model = '{{ model.name }}')
    select
        {%- if batch is none %}
        max(batch) as batch,
        {%- elif batch == 'null' or not is_watched %}
        cast({{ batch }} as bigint) as batch,
        {%- else %}
        case
            when (
                select count(*)
                from {{ this }}.snapshots
                where
                    operation = 'append'
                    and unix_micros(committed_at) >= {{ rep_ai_state().moment }}
            ) < 2
                then cast({{ batch }} as bigint)
        end as batch,
        {%- endif %}
        {{ "'" ~ code ~ "'" if code else 'max(code)' }} as code
    from {{ rep_ai_watermarks() }}
    where model = '{{ model.name }}'
    having count(*) > 0
{%- endmacro %}

{# Small files and old snapshots, which every night leaves behind. #}
{% macro spark__rep_ai_maintain(table, keep_days) -%}
    {%- set file_format = graph.nodes['model.rep_ai.int_rep_ai__deliveries'].config.file_format -%}
    {%- if file_format == 'delta' -%}
        {{ return(['optimize ' ~ table, 'vacuum ' ~ table]) }}
    {%- elif file_format == 'iceberg' -%}
        {%- set oldest = modules.datetime.datetime.now(modules.pytz.utc)
            - modules.datetime.timedelta(days=keep_days) -%}
        {%- set call = 'call spark_catalog.system.' -%}
        {{ return([
            call ~ "rewrite_data_files(table => '" ~ table ~ "', options => map("
            ~ "'min-input-files', '2', 'delete-file-threshold', '1'))",
            call ~ "rewrite_manifests(table => '" ~ table ~ "')",
            call ~ "expire_snapshots(table => '" ~ table ~ "', older_than => timestamp '"
            ~ oldest.strftime('%Y-%m-%d %H:%M:%S') ~ "')",
        ]) }}
    {%- endif -%}
    {{ return([]) }}
{%- endmacro %}

{# The table is made anew for the files that have come: a table keeps the list it began with. #}
{% macro spark__rep_ai_external_tables(table, path) -%}
    {{ return([
        "drop table if exists " ~ table,
        "create table " ~ table ~ " using parquet options (path '" ~ path
        ~ "', mergeSchema 'true')"
    ]) }}
{%- endmacro %}
