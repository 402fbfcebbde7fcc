from pathlib import Path

import pytest

from lsp_agent.config.keys import KEYS
from lsp_agent.config.load import is_stale, load_config
from lsp_agent.config.sections import Config
from lsp_agent.config.show import shown

SAMPLE = """
[models]
large = "anthropic/big"
small = "anthropic/small"
fallback = "local/fake-large"

[providers.local]
type = "openai-compat"
base_url = "http://127.0.0.1:8080/v1"
api_key = "$LOCAL_KEY"
headers = {"X-Team" = "red"}
extra_body = {seed = 1}
flat_rate = true

[[providers.local.models]]
id = "fake-large"
name = "Fake Large"
context_window = 200000
max_output_tokens = 8192
input_usd_per_mtok = 3
can_reason = true
reasoning_efforts = ["low", "high"]
supports_images = false

[[providers.local.models]]
id = "fake-small"

[agent]
auto_summarize = false
update_interval_ms = 0
max_steps = 7
max_cost_usd = 2.5

[limits]
stream_idle_s = 60
retries = 1
retry_base_s = 0.5

[permissions]
mode = "accept-edits"
allow = ["view", "bash:git status"]
deny = ["bash:rm"]

[mcp.example]
type = "stdio"
command = ["server", "--flag"]
anything = {goes = true}

cwd = "/srv"
timeout_s = 3
disabled = false
enabled_tools = ["a"]
disabled_tools = ["b"]
oauth = false
sandbox = true
instructions = false

[tools]
disabled = ["fetch"]

[tools.grep]
timeout_s = 3

[[hooks.PreToolUse]]
matcher = "^bash$"
name = "check"
command = "./check.sh"
timeout = 5

[[hooks.pre_compact]]
hooks = [{type = "command", command = "a"}, {command = "b", timeout = 1}]

[context]
paths = ["docs/rules.md", "~/rules.md"]
max_tokens = 5000

[skills]
disabled = ["one"]

[agents]
disabled = ["two"]

[checkpoints]
enabled = false

[sandbox]
tier = "landlock"
network_domains = ["example.org"]

[local]
model = "small"
threads = 2
context_window = 4096

[web]
search_url = "https://search.example/?q={query}"
allow_domains = ["docs.example"]
deny_domains = ["evil.example"]
"""


@pytest.fixture
def user_file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(SAMPLE)
    return path


def load(user_file: Path, env=(), **more) -> Config:
    return load_config({"LSP_AGENT_CONFIG": str(user_file), **dict(env)}, **more)


def test_every_section_of_the_user_file_arrives(user_file):
    config = load(user_file)
    assert (config.errors, config.warnings, config.notices) == ((), (), ())
    assert (config.large, config.small) == ("anthropic/big", "anthropic/small")
    (provider,) = config.providers
    assert (provider.provider_id, provider.type, provider.api_key) == ("local", "openai-compat", "$LOCAL_KEY")
    assert (provider.headers, provider.extra_body, provider.flat_rate) == ({"X-Team": "red"}, {"seed": 1}, True)
    large, small = provider.models
    assert (large.ref, large.context_window, large.input_usd_per_mtok) == ("local/fake-large", 200_000, 3.0)
    assert (large.flat_rate, large.can_reason, large.reasoning_efforts) == (True, True, ("low", "high"))
    assert small.context_window == 0
    assert (config.agent.auto_summarize, config.agent.update_interval_ms, config.agent.max_steps) == (False, 0, 7)
    assert (config.limits.stream_idle_s, config.limits.retries, config.limits.stream_total_s) == (60.0, 1, 900.0)
    assert config.permissions.allow == ("view", "bash:git status")
    assert (config.permissions.mode, config.permissions.deny) == ("accept-edits", ("bash:rm",))
    assert config.mcp["example"]["command"] == ["server", "--flag"]
    assert (config.tools.disabled, config.tools.options) == (("fetch",), {"grep": {"timeout_s": 3}})
    assert config.fallback == "local/fake-large"
    assert config.mcp["example"]["enabled_tools"] == ["a"]
    assert config.hooks == {
        "PreToolUse": [{"matcher": "^bash$", "name": "check", "command": "./check.sh", "timeout": 5}],
        "pre_compact": [{"hooks": [{"type": "command", "command": "a"}, {"command": "b", "timeout": 1}]}],
    }
    assert (config.context.paths, config.context.max_tokens) == (("docs/rules.md", "~/rules.md"), 5000)
    assert (config.skills.disabled, config.agents.disabled) == (("one",), ("two",))
    assert config.checkpoints.enabled is False
    assert (config.sandbox.tier, config.sandbox.network_domains) == ("landlock", ("example.org",))
    assert (config.local.model, config.local.threads, config.local.context_window) == ("small", 2, 4096)
    assert config.web.search_url == "https://search.example/?q={query}"
    assert (config.web.allow_domains, config.web.deny_domains) == (("docs.example",), ("evil.example",))


def test_nothing_at_all_gives_the_defaults_of_the_table(tmp_path):
    config = load(tmp_path / "missing.toml")
    assert (config.errors, config.warnings, config.notices, config.providers) == ((), (), (), ())
    assert {name: value for name, value, _ in shown(config)} == {
        name: value for name, value, _ in shown(Config(origins={}))
    }
    assert set(config.origins.values()) == {"default"}
    assert set(config.origins) == set(KEYS)


def test_flags_win_over_environment_over_file_over_defaults_and_origins_say_so(user_file):
    env = {"LSP_AGENT_MODEL": "env/large", "LSP_AGENT_MODE": "plan", "LSP_AGENT_RETRIES": "2"}
    config = load(user_file, env, flags={"models.large": "flag/large", "agent.max_steps": "9", "models.small": None})
    assert (config.large, config.small) == ("flag/large", "anthropic/small")
    assert (config.permissions.mode, config.limits.retries, config.agent.max_steps) == ("plan", 2, 9)
    assert config.origins["models.large"] == "flag"
    assert config.origins["permissions.mode"] == "environment LSP_AGENT_MODE"
    assert config.origins["models.small"] == f"{user_file}:4"
    assert config.origins["limits.stream_total_s"] == "default"


@pytest.mark.parametrize(
    ("env", "name", "word"),
    [
        ({"LSP_AGENT_MODEL": "no-slash"}, "LSP_AGENT_MODEL", "provider/model"),
        ({"LSP_AGENT_MODE": "yolo"}, "LSP_AGENT_MODE", "one of"),
        ({"LSP_AGENT_RETRIES": "many"}, "LSP_AGENT_RETRIES", "integer"),
        ({"LSP_AGENT_MAX_COST_USD": "nan"}, "LSP_AGENT_MAX_COST_USD", "at least"),
        ({"LSP_AGENT_AUTO_SUMMARIZE": "perhaps"}, "LSP_AGENT_AUTO_SUMMARIZE", "true or false"),
    ],
)
def test_a_wrong_environment_variable_is_named_and_ignored(user_file, env, name, word):
    config = load(user_file, env)
    (problem,) = config.errors
    assert (problem.source, problem.key) == ("environment", name)
    assert word in problem.message
    assert next(iter(env.values())) not in str(problem)
    assert config.large == "anthropic/big"


def test_full_auto_is_for_the_user_file_and_flags_only(user_file):
    config = load(user_file, {"LSP_AGENT_MODE": "full-auto"})
    assert config.permissions.mode == "accept-edits"
    assert [notice.key for notice in config.notices] == ["LSP_AGENT_MODE"]
    assert load(user_file, flags={"permissions.mode": "full-auto"}).permissions.mode == "full-auto"
    user_file.write_text('[permissions]\nmode = "full-auto"')
    assert load(user_file).permissions.mode == "full-auto"


@pytest.mark.parametrize(
    ("was", "now", "further", "key"),
    [
        ("retries = 1", 'retries = "SECRET"', 0, "limits.retries"),
        ("max_steps = 7", "max_steps = -1", 0, "agent.max_steps"),
        ('mode = "accept-edits"', 'mode = "SECRET"', 0, "permissions.mode"),
        ('deny = ["bash:rm"]', 'deny = "SECRET"', 0, "permissions.deny"),
        ('id = "fake-small"', "id = 5", 0, "providers.local.models[1].id"),
        ('id = "fake-small"', 'id = "fake-large"', 0, "providers.local.models[1].id"),
        ('type = "openai-compat"', 'type = "SECRET"', 0, "providers.local.type"),
        ('base_url = "http://127.0.0.1:8080/v1"', 'base_url = "file:///SECRET"', 0, "providers.local.base_url"),
        ('base_url = "http://127.0.0.1:8080/v1"', 'base_url = "http://u:SECRET@h"', 0, "providers.local.base_url"),
        ('base_url = "http://127.0.0.1:8080/v1"', 'base_url = "http://[SECRET"', 0, "providers.local.base_url"),
        ("extra_body = {seed = 1}", "extra_body = {at = 2020-01-01}", 0, "providers.local.extra_body"),
        ('command = ["server", "--flag"]', 'command = "SECRET"', 0, "mcp.example.command"),
        ("timeout_s = 3\ndisabled = false", 'timeout_s = "SECRET"\ndisabled = false', 0, "mcp.example.timeout_s"),
        ("oauth = false", 'oauth = "SECRET"', 0, "mcp.example.oauth"),
        ('command = "./check.sh"', "command = 5", 0, "hooks.PreToolUse[0].command"),
        ("timeout = 5", 'timeout = "SECRET"', 0, "hooks.PreToolUse[0].timeout"),
        ('{command = "b", timeout = 1}', '{type = "SECRET", command = "b"}', 0, "hooks.pre_compact[0].hooks[1].type"),
        ('{command = "b", timeout = 1}', "{timeout = 1}", 0, "hooks.pre_compact[0].hooks[1].command"),
        ('tier = "landlock"', 'tier = "SECRET"', 0, "sandbox.tier"),
        ("max_tokens = 5000", "max_tokens = 200001", 0, "context.max_tokens"),
        ("https://search.example/?q={query}", "ftp://SECRET", 0, "web.search_url"),
        ("enabled = false", 'enabled = "SECRET"', 0, "checkpoints.enabled"),
        ('fallback = "local/fake-large"', 'fallback = "SECRET"', 0, "models.fallback"),
        ("stream_idle_s = 60", "stream_idle_s = nan", 0, "limits.stream_idle_s"),
        ("stream_idle_s = 60", "stream_idle_s = = 60", 0, "limits.stream_idle_s"),
        ('api_key = "$LOCAL_KEY"', 'api_key = "SECRET', 0, "providers.local.api_key"),
        ("max_steps = 7", "max_steps = 7\nmax_steps = 8", 1, "agent.max_steps"),
    ],
)
def test_an_invalid_file_names_file_line_and_key_and_keeps_the_last_good_values(user_file, was, now, further, key):
    good = load(user_file)
    assert SAMPLE.count(was) == 1
    line = SAMPLE[: SAMPLE.index(was)].count("\n") + 1 + further
    user_file.write_text(SAMPLE.replace(was, now).replace('large = "anthropic/big"', 'large = "other/model"'))
    config = load(user_file, last_good=good)
    (problem,) = config.errors
    assert (problem.source, problem.line, problem.key) == (str(user_file), line, key)
    assert str(problem).startswith(f"{user_file}:{line}: {key}: ")
    assert "SECRET" not in str(problem)
    assert (config.large, config.providers, config.mcp) == (good.large, good.providers, good.mcp)
    assert (config.agent, config.limits, config.permissions) == (good.agent, good.limits, good.permissions)
    assert (config.hooks, config.sandbox, config.web) == (good.hooks, good.sandbox, good.web)
    again = load(user_file, last_good=config)
    assert again.providers == good.providers
    user_file.write_text(SAMPLE)
    assert load(user_file, last_good=again).errors == ()


def test_at_a_first_start_the_valid_keys_of_an_invalid_file_count_but_no_loose_mode(user_file):
    user_file.write_text(SAMPLE.replace('deny = ["bash:rm"]', "deny = 5"))
    config = load(user_file)
    assert len(config.errors) == 1
    assert (config.large, config.permissions.mode, config.permissions.deny) == ("anthropic/big", "ask", ())


def test_a_provider_with_a_wrong_address_is_not_used_with_another_one(user_file):
    user_file.write_text(SAMPLE.replace("http://127.0.0.1:8080/v1", "127.0.0.1"))
    assert load(user_file).providers == ()


def test_a_well_known_id_needs_no_type_and_an_address_may_come_from_the_environment(user_file):
    user_file.write_text(
        '[providers.gemini]\napi_key = "$K"\n[providers.ollama]\nbase_url = "$OLLAMA_URL"\n[providers.mine]\n'
    )
    config = load(user_file)
    assert [(provider.provider_id, provider.type, provider.base_url) for provider in config.providers] == [
        ("gemini", "google", None),
        ("ollama", "ollama", "$OLLAMA_URL"),
    ]
    assert [str(problem) for problem in config.errors] == [f"{user_file}:5: providers.mine.type: is required"]


def test_unknown_keys_are_warnings_with_a_hint_and_change_nothing(user_file):
    user_file.write_text(SAMPLE.replace("flat_rate", "flatrate") + "\n[agnet]\nx = 1\n")
    config = load(user_file)
    assert config.errors == ()
    texts = [str(warning) for warning in config.warnings]
    assert texts == [
        f"{user_file}:13: providers.local.flatrate: unknown key; did you mean flat_rate?",
        f"{user_file}:{SAMPLE.count(chr(10)) + 2}: agnet: unknown key; did you mean agent?",
    ]
    assert config.large == "anthropic/big"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"\xff\xfe", "UTF-8"),
        (b"a = " + b"[" * 50_000, "TOML"),
        (b"x" * (1024 * 1024 + 1), "1 MiB"),
        (b"[a", "TOML"),
    ],
)
def test_a_file_that_is_no_toml_is_one_error_and_never_an_exception(user_file, content, word):
    user_file.write_bytes(content)
    (problem,) = load(user_file).errors
    assert word in problem.message


def test_a_directory_in_place_of_the_file_is_an_error(tmp_path):
    (problem,) = load(tmp_path).errors
    assert "not a regular file" in problem.message


def test_a_byte_order_mark_and_windows_line_ends_are_fine(user_file):
    user_file.write_bytes(b"\xef\xbb\xbf" + SAMPLE.replace("\n", "\r\n").encode())
    config = load(user_file)
    assert config.errors == ()
    assert config.origins["models.large"] == f"{user_file}:3"


def test_a_change_of_the_file_is_seen_by_its_content(user_file, tmp_path):
    config = load(user_file, project_root=tmp_path, trusted=lambda path: True)
    assert not is_stale(config)
    user_file.touch()
    assert not is_stale(config)
    project = tmp_path / ".lsp-agent.toml"
    project.write_text("")
    assert is_stale(config)
    project.unlink()
    user_file.write_text(SAMPLE + "#")
    assert is_stale(config)
    user_file.unlink()
    assert is_stale(config)


def test_a_wrong_hook_is_left_out_and_its_neighbours_stay(user_file):
    user_file.write_text(
        "[hooks]\nclaude_settings = true\nPreToolUze = []\nStop = 5\n"
        '[[hooks.PostToolUse]]\nmatcher = "x"\n[[hooks.PostToolUse]]\ncommand = "good"\n'
    )
    config = load(user_file)
    assert config.hooks == {"claude_settings": True, "PostToolUse": [{"command": "good"}]}
    assert [str(problem) for problem in config.errors] == [
        f"{user_file}:4: hooks.Stop: must be a list of tables",
        f"{user_file}:5: hooks.PostToolUse[0].command: is required",
    ]
    assert [str(problem) for problem in config.warnings] == [
        f"{user_file}:3: hooks.PreToolUze: unknown key; did you mean PreToolUse?"
    ]
    assert ("hooks.PostToolUse", "1 configured", str(user_file)) in shown(config)


def test_no_key_and_no_header_is_ever_shown(user_file):
    user_file.write_text(SAMPLE.replace("$LOCAL_KEY", "sk-SECRET").replace('"red"', '"Bearer SECRET"'))
    config = load(user_file)
    assert "SECRET" not in repr(config)
    assert "SECRET" not in str(shown(config))
    user_file.write_text(SAMPLE.replace("$LOCAL_KEY", "$(pass SECRET)"))
    assert "SECRET" not in str(shown(load(user_file)))


def test_unknown_and_wrong_flags_are_reported(user_file):
    config = load(user_file, flags={"permissions.mood": "ask", "permissions.deny": 5, "permissions.allow": "a, b"})
    assert [str(problem) for problem in config.warnings] == ["flag: permissions.mood: unknown key"]
    assert [problem.key for problem in config.errors] == ["permissions.deny"]
    assert config.permissions.allow == ("a", "b")
