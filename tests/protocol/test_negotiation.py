from lsp_agent.protocol.negotiation import ClientBlock, ServerBlock, client_block

CLIENT = {
    "protocolVersions": [1],
    "client": {"id": "persistent-uuid", "name": "lsp-agent.nvim", "version": "0.1.0"},
    "events": {"enabled": True, "optOut": ["agent_thought_chunk"], "maxLatencyMs": 0},
    "ui": {"permission": "event", "question": "none"},
    "editor": {"lsp": ["textDocument/definition"], "diagnostics": "push", "selection": True},
    "attach": [{"sessionId": "s", "afterSeq": 812}],
}
SERVER = {
    "protocolVersion": 1,
    "instanceId": "new at every start",
    "version": "0.1.0",
    "prompt": {"image": True, "bufferRef": True},
    "session": {"list": {}, "read": {}, "attach": {}, "fork": {}, "compact": {}, "export": {}},
    "run": {"queueMax": 1000, "steer": {}},
    "changes": {"hunk": True, "undo": True},
    "checkpoint": {},
    "limits": {"maxMessageBytes": 33554432, "replayEvents": 20000},
}


def plugin(block):
    return {"capabilities": {"experimental": {"agent": block}}}


def test_the_blocks_of_the_specification_validate_and_come_back_the_same():
    client = client_block(plugin(CLIENT))
    assert client is not None
    shown = client.model_dump(by_alias=True)
    assert {name: shown[name] for name in CLIENT if name != "events"} == {
        name: CLIENT[name] for name in CLIENT if name != "events"
    }
    assert client.events.opt_out == ["agent_thought_chunk"]
    assert ServerBlock.model_validate(SERVER).model_dump(by_alias=True, exclude_none=True) == SERVER


def test_the_block_of_a_server_without_a_common_version_validates():
    block = {"error": {"kind": "UnsupportedVersion", "supportedVersions": [1]}}
    assert ServerBlock.model_validate(block).model_dump(by_alias=True, exclude_none=True) == block


def test_no_block_is_tier_zero():
    assert client_block({}) is None
    assert client_block({"capabilities": {}, "initializationOptions": None}) is None
    assert client_block({"capabilities": None, "initializationOptions": {"agent": "yes"}}) is None


def test_an_empty_block_has_every_default():
    block = client_block(plugin({}))
    assert block == ClientBlock.model_validate({})
    assert block is not None
    assert block.version == 1
    assert (block.ui.permission, block.ui.question) == ("event", "event")
    assert block.events.enabled
    assert block.attach == []


def test_a_plugin_wins_over_user_settings_field_by_field():
    params = {
        "initializationOptions": {"agent": {"ui": {"permission": "none", "question": "none"}, "protocolVersions": [9]}},
        **plugin({"protocolVersions": [1], "ui": {"permission": "showMessage"}}),
    }
    block = client_block(params)
    assert block is not None
    assert (block.ui.permission, block.ui.question, block.version) == ("showMessage", "none", 1)


def test_no_common_version_is_seen():
    block = client_block(plugin({"protocolVersions": [2, 3]}))
    assert block is not None
    assert block.version is None


def test_a_wrong_field_costs_that_field_only():
    wrong = {**CLIENT, "events": {"maxLatencyMs": "soon", "optOut": ["a"]}, "attach": [{"sessionId": 1}], "editor": 5}
    block = client_block(plugin(wrong))
    assert block is not None
    assert block.events.opt_out == ["a"]
    assert block.events.max_latency_ms == 0
    assert block.attach == []
    assert block.editor.lsp == []
    assert block.client.name == "lsp-agent.nvim"


def test_unknown_channels_read_as_the_default_and_the_arguments_stay_as_they_were():
    raw = {"ui": {"permission": "telepathy"}, "attach": [{"sessionId": 5}]}
    block = client_block(plugin(raw))
    assert block is not None
    assert block.ui.permission == "event"
    assert raw == {"ui": {"permission": "telepathy"}, "attach": [{"sessionId": 5}]}
