{# The continuous percentile, in tenths, of waits that are numbered in order from 0. #}
{% macro rep_ai_percentile(tenths) -%}
    max(
        case
            when
                wait_number * 10 <= (wait_count - 1) * {{ tenths }}
                and (wait_number + 1) * 10 > (wait_count - 1) * {{ tenths }}
                then
                    seconds_to_accept
                    + (coalesce(next_seconds_to_accept, seconds_to_accept) - seconds_to_accept)
                    * ((wait_count - 1) * {{ tenths }} - wait_number * 10)
                    * cast(0.1 as decimal(2, 1))
        end
    )
{%- endmacro %}
