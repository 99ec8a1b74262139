{{ config(materialized='incremental') }}

{%- call rep_ai_incremental(
    replaces={'delivery': 'delivery_id', 'window': 'delivery_id'},
    opens_batch=true,
) %}
    -- what has become current, or is so no more
    select
        'delivery' as kind,
        coalesce(found.delivery_id, held.delivery_id) as key
    from (
        select delivery_id from {{ ref('int_rep_ai__delivery_versions') }} where is_current
    ) as found
    full outer join {{ this }} as held on found.delivery_id = held.delivery_id
    where found.delivery_id is null or held.delivery_id is null

    union all

    -- windows whose open ends are judged otherwise
    select
        'window' as kind,
        held.delivery_id as key
    from {{ rep_ai_named(ref('int_rep_ai__delivery_versions')) }} as found
    inner join {{ this }} as held on found.delivery_id = held.delivery_id
    where found.is_current and found.open_end_status != held.open_end_status
{%- endcall -%}

with

final as (

    select
        delivery_id,
        open_end_status,
        window_start_at,
        window_end_at
    from {{ ref('int_rep_ai__delivery_versions') }}
    where
        is_current
        and (
            {{ rep_ai_is_affected('delivery_id', 'delivery') }}
            or {{ rep_ai_is_affected('delivery_id', 'window') }}
        )

)

select * from final
