"""The `agent/*` methods: params and results as types, the error table, the JSON Schema. Data only, no I/O."""
