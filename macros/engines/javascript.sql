{# Functions for engines whose SQL spells the numbers of JSON anew, and which run JavaScript. #}

{# The name of such a function, beside the marts. #}
{% macro rep_ai_javascript(name) -%}
    {{ api.Relation.create(database=target.database, schema=target.schema).include(
        identifier=false
    ) }}.rep_ai_{{ name }}
{%- endmacro %}

{#
    Name -> arguments, what it returns, and the body. The text of a value is as it was written, but
    for white space between tokens; of a text it is the text itself.
#}
{% macro rep_ai_javascript_functions() -%}
    {%- set parts -%}
        const parts = [];
        const whole = JSON.parse(document);
        let depth = 0, key = null, value = null;
        for (const token of document.match(/"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^"{}\[\]:,\s]+/g)) {
            if (depth === 1 && (token === ',' || token === '}')) {
                if (value !== null) parts.push([key, value]);
                depth -= token === '}' ? 1 : 0;
                value = null;
            } else if (depth === 1 && value === null) {
                if (token === ':') value = ''; else key = token;
            } else {
                if (token === '{' || token === '[') depth += 1;
                if (token === '}' || token === ']') depth -= 1;
                if (value !== null) value += token;
            }
        }
        if (whole === null || typeof whole !== 'object' || Array.isArray(whole)) parts.length = 0;
    {%- endset -%}
    {%- set json_text -%}
        try {
            const whole = JSON.parse(document);
            const isObject = whole !== null && typeof whole === 'object' && !Array.isArray(whole);
            const own = isObject && Object.prototype.hasOwnProperty.call(whole, name);
            const found = own ? whole[name] : null;
            return typeof found === 'string' && found !== '' ? found : null;
        } catch (error) { return null; }
    {%- endset -%}
    {%- set member -%}
        try {
            {{ parts }}
            const found = parts.filter(([key]) => JSON.parse(key) === name).pop();
            if (!found || found[1] === 'null') return null;
            return found[1].startsWith('"') ? JSON.parse(found[1]) : found[1];
        } catch (error) { return null; }
    {%- endset -%}
    {%- set without -%}
        try {
            {{ parts }}
            const left = parts.filter(([key]) => !JSON.parse(names).includes(JSON.parse(key)));
            return left.length ? '{' + left.map(part => part.join(':')).join(',') + '}' : null;
        } catch (error) { return document; }
    {%- endset -%}
    {#- each round doubles the steps that have been walked -#}
    {%- set walked -%}
        for (let round = 0; round < rounds; round += 1) {
            const before = steps;
            steps = before.map(([reached, least]) => {
                const [further, lesser] = before[reached - 1];
                return [further, Math.min(least, lesser)];
            });
        }
        return steps;
    {%- endset -%}
    {{ return({
        'json_text': ({'document': 'text', 'name': 'text'}, 'text', json_text),
        'member': ({'document': 'text', 'name': 'text'}, 'text', member),
        'without': ({'document': 'text', 'names': 'text'}, 'text', without),
        'walked': ({'steps': 'list', 'rounds': 'number'}, 'list', walked),
    }) }}
{%- endmacro %}
