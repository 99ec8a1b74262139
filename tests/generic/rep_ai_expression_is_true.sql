{# Fails for each row of which the expression is false; like a check constraint it passes NULL. #}
{% test rep_ai_expression_is_true(model, expression) %}
    select *
    from {{ model }}
    where not ({{ expression }})
{% endtest %}
