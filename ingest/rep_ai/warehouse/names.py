"""The names of what dbt builds, and the only place in the package that has them.

A test compares them with the dbt project. dbt's manifest is not asked: it takes longer to read than
`rep-ai status` to run, and is not there before the first build.
"""

MARTS_SCHEMA = "rep_ai"
INTERMEDIATE_SCHEMA = "rep_ai_intermediate"

DAILY_ACTIVITY = "rep_ai__daily_activity"
DUMP_CALENDAR = "rep_ai__dump_calendar"
INTERACTIONS = "fct_rep_ai__interactions"
SESSION_GROUPS = "fct_rep_ai__session_groups"
SESSIONS = "fct_rep_ai__sessions"
UNKNOWN_TYPES = "rep_ai__unknown_types"
USERS = "dim_rep_ai__users"
VIOLATIONS = "rep_ai__contract_violations"

# in the intermediate schema
CURRENT_DELIVERIES = "int_rep_ai__deliveries"
KNOWN_TYPES = "int_rep_ai__known_types"
AFFECTED = "rep_ai_affected"
WATERMARKS = "rep_ai_watermarks"

# kind of type -> its seed; seeds lie in the schema of the marts
SEEDS = {"action": "rep_ai_action_types", "interaction": "rep_ai_interaction_types"}
