"""Claude at Amazon Bedrock: where it lives and how a request proves who asks.

Three ways, the first that is there: a bearer token (`api_key`, `AWS_BEARER_TOKEN_BEDROCK`), access keys in the
environment, and AWS's own chain of profiles, SSO and instance roles, which needs the extra `bedrock`.
"""

import asyncio
import importlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lsp_agent.domain.errors import ProviderError
from lsp_agent.providers.aws_signing import AwsKeys, signed_headers
from lsp_agent.providers.aws_sso import Seen, cache_directory, login_due, seen, wait_for_login
from lsp_agent.providers.eventstream import EventStreamDecoder
from lsp_agent.providers.hosted_anthropic import HostedAnthropicProvider, Hosting
from lsp_agent.providers.oauth import LoginDue
from lsp_agent.providers.sending import DIRECTLY, Reach

ANTHROPIC_VERSION = "bedrock-2023-05-31"
BEARER_NAME = "AWS_BEARER_TOKEN_BEDROCK"
_SIGNED = ("content-type", "accept")
_NO_EXTRA = (
    "{}: no bearer token ({}) and no access keys (AWS_ACCESS_KEY_ID) were found; "
    "for AWS profiles, SSO and roles run: pip install 'lsp-agent[bedrock]'"
)


def bedrock_region(provider_id: str, options: Mapping[str, Any], env: Mapping[str, str]) -> str:
    """The configured region, else the environment's, else the one the provider's id stands for."""
    default = "eu-west-1" if provider_id.endswith(("-eu", "-europe")) else "us-east-1"
    return str(options.get("region") or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or default)


class BedrockCredentials:
    """Proves who asks, for one region. `bearer` empty = signed with keys of the environment or of AWS's chain."""

    def __init__(
        self, provider_id: str, *, bearer: str, region: str, env: Mapping[str, str], profile: str = ""
    ) -> None:
        self._provider_id = provider_id
        self._bearer = bearer.removeprefix("Bearer ").strip()
        self._region = region
        self._env = env
        self._profile = profile
        self._session: Any = None
        self._last: AwsKeys | None = None
        self._due: LoginDue | None = None
        self._seen: Seen = {}

    async def headers(self, url: str, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers to add. Raises: ProviderError(ProviderAuth) that says what is missing."""
        if self._bearer:
            return {"authorization": f"Bearer {self._bearer}"}
        keys = self._environment_keys()
        if keys is None:
            keys = await asyncio.to_thread(self._chain_keys)
        self._last = keys
        return signed_headers(
            keys,
            method="POST",
            url=url,
            headers={name: value for name, value in headers.items() if name in _SIGNED},
            body=body,
            region=self._region,
            service="bedrock",
            now=datetime.now(UTC),
        )

    @property
    def due(self) -> LoginDue | None:
        """The single sign-on that a person has to renew; None = none is known to have run out."""
        return self._due

    async def renewed(self, timeout_s: float) -> bool:
        """After a refusal: wait for a login that is due, or read the chain anew. True when a retry makes sense."""
        if self._bearer or self._environment_keys() is not None:
            return False
        if self._due is not None:
            if not await wait_for_login(cache_directory(self._env), self._seen, timeout_s):
                return False
            self._due = self._session = None
            return True
        before, self._session = self._last, None
        try:
            return await asyncio.to_thread(self._chain_keys) != before
        except ProviderError:
            return False

    def secrets(self) -> list[str]:
        """What must never appear in a message."""
        keys = self._last
        return [self._bearer, *([keys.secret_key, keys.token] if keys is not None else [])]

    def _environment_keys(self) -> AwsKeys | None:
        access, secret = self._env.get("AWS_ACCESS_KEY_ID"), self._env.get("AWS_SECRET_ACCESS_KEY")
        if self._profile or not access or not secret:
            return None
        return AwsKeys(access, secret, self._env.get("AWS_SESSION_TOKEN", ""))

    def _chain_keys(self) -> AwsKeys:
        """Runs in a thread: profiles and roles are read from files and asked for over the network."""
        try:
            sdk: Any = importlib.import_module("botocore.session")
            errors: Any = importlib.import_module("botocore.exceptions")
        except ImportError as error:
            raise _no_key(_NO_EXTRA.format(self._provider_id, BEARER_NAME)) from error
        try:
            # a session renews what expires, so it is kept
            if self._session is None:
                self._session = sdk.Session(profile=self._profile or None)
            found = self._session.get_credentials()
            frozen = found.get_frozen_credentials() if found is not None else None
        except (errors.BotoCoreError, errors.ClientError, OSError, ValueError) as error:
            self._due = login_due(self._provider_id, self._profile or self._env.get("AWS_PROFILE", ""), error)
            if self._due is not None:
                self._seen, self._session = seen(cache_directory(self._env)), None
                raise self._due from error
            text = f"{self._provider_id}: AWS credentials cannot be used ({type(error).__name__}); is a login due?"
            raise _no_key(text) from error
        if frozen is None:
            raise _no_key(
                f"{self._provider_id}: no AWS credentials were found; set {BEARER_NAME} or run: aws configure"
            )
        return AwsKeys(str(frozen.access_key), str(frozen.secret_key), str(frozen.token or ""))


def make_bedrock(
    provider_id: str,
    *,
    api_key: str,
    base_url: str,
    options: Mapping[str, Any],
    headers: Mapping[str, str],
    extra_body: Mapping[str, Any],
    env: Mapping[str, str],
    cache: bool,
    reach: Reach = DIRECTLY,
) -> HostedAnthropicProvider:
    """The adapter for Claude models at Bedrock; `options` may hold `region` and `profile`."""
    region = bedrock_region(provider_id, options, env)
    credentials = BedrockCredentials(
        provider_id,
        bearer=api_key or env.get(BEARER_NAME, ""),
        region=region,
        env=env,
        profile=str(options.get("profile") or ""),
    )
    hosting = Hosting(
        base_url=base_url or f"https://bedrock-runtime.{region}.amazonaws.com",
        path="/model/{}/invoke-with-response-stream",
        anthropic_version=ANTHROPIC_VERSION,
        accept="application/vnd.amazon.eventstream",
        make_decoder=lambda: EventStreamDecoder(provider_id),
        betas_in_body=True,
        streams_by_path=True,
    )
    return HostedAnthropicProvider(
        provider_id,
        hosting=hosting,
        credentials=credentials,
        headers=headers,
        extra_body=extra_body,
        cache=cache,
        reach=reach,
    )


def _no_key(message: str) -> ProviderError:
    return ProviderError("ProviderAuth", "No key", message)
