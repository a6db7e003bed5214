"""The OpenAPI document as schemathesis sees it, and a running API that has something of everything to ask about."""

from __future__ import annotations

import copy
import itertools
import uuid
from collections.abc import Iterator
from typing import Any

import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction, load_all_checks, negative_data_rejection, positive_data_acceptance
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import APIOperation

from service.api.problems import Problem
from tests.integration.service.client import PROBLEM, Client, House
from tests.integration.service.conftest import ADMIN_KEY
from tests.integration.service.processes import Service

# Every operation by its operationId; a test compares them with the document.
OPERATIONS = (
    *("list_projects", "create_project", "read_project", "change_project", "delete_project", "restore_project"),
    *("purge_project", "list_documents", "create_document", "read_document", "change_document", "delete_document"),
    *("restore_document", "purge_document", "list_users", "create_user", "read_user", "change_user", "delete_user"),
    *("restore_user", "purge_user", "list_keys", "create_key", "revoke_key", "whoami", "create_token", "sign_in", "jwks"),
    *("list_tenants", "create_tenant", "read_tenant", "change_tenant", "delete_tenant", "restore_tenant", "purge_tenant"),
    *("list_jobs", "read_job", "read_job_result", "cancel_job", "retry_job", "export_project"),
    *("system_status", "system_leases", "health", "ready"),
)
ENDLESS = ("watch_jobs",)  # answers for as long as somebody reads: tests/integration/queue does
# What no schema can tell: the text is well-formed and yet none that was given out, or one that meant something else then.
_BEYOND_SCHEMA = (
    *("CURSOR_UNKNOWN", "IDEMPOTENCY_KEY_REUSED", "PRECONDITION_FAILED", "PRECONDITION_REQUIRED"),
    "MALFORMED_ETAG",  # schemathesis takes the quotes off an ETag that it made itself
)
# Of metadata: how deep, how many bytes and which characters all the way down. Of a key: that it expires in the future.
_BEYOND_FIELDS = ({"/body/metadata"}, {"/expires_at"})
_MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


class Stage:
    """A running API, what its document says, and cases made of that: the same ones every time."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._session = requests.Session()
        config = SchemathesisConfig(seed=1)
        self._generation = config.projects.default.generation
        self._generation.update(deterministic=True, with_security_parameters=False)
        self.document: dict[str, Any] = requests.get(f"{self.base}/openapi.json", timeout=10).json()
        self._schema = schemathesis.openapi.from_dict(_quick(self.document), config=config)
        load_all_checks()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.service.port}"

    def operation(self, name: str) -> APIOperation:
        found: APIOperation = self._schema.find_operation_by_id(name)
        return found

    def coverage(self, operation: APIOperation) -> Iterator[Case]:
        """A case for each boundary and each way to break a rule."""
        return self._schema.iter_coverage_cases(operation, generation_modes=list(_MODES), generation_config=self._generation)

    def anything(self, operation: APIOperation) -> st.SearchStrategy[Case]:
        """Cases by chance, in order and not."""
        return st.one_of([operation.as_strategy(generation_mode=mode) for mode in _MODES])

    def check(self, case: Case, credential: str) -> requests.Response:
        """Send it; what the document and RFC 9457 promise of the answer must be so."""
        headers = {"Authorization": f"Bearer {credential}"} if case.operation.definition.raw.get("security") else {}
        answer = case.call(base_url=self.base, session=self._session, headers=headers)
        response = requests_answer(answer)
        excluded: list[CheckFunction] = [positive_data_acceptance] if _beyond_schema(response) else []
        if response.status_code in (414, 431):  # a refusal that schemathesis does not know
            excluded.append(negative_data_rejection)
        case.validate_response(
            answer, headers=headers, excluded_checks=excluded, transport_kwargs={"session": self._session}
        )
        is_problem(response)
        return response


class Things:
    """Something of everything within one tenant, and tenants: what the ids in a path may mean."""

    def __init__(self, house: House, operator: Client) -> None:
        self._house, self._operator = house, operator
        self._numbers = itertools.count()

    def there(self, case: Case) -> Case:
        """The case, about something that is there; or one about nothing, every other time and where that is its point."""
        for name, given in (case.path_parameters or {}).items():
            number = next(self._numbers)
            if number % 2 == 0 and _is_uuid(given):
                deleted = case.operation.definition.raw["operationId"].startswith(("restore_", "purge_"))
                case.path_parameters[name] = self._new(name, number, deleted=deleted)
                if case.operation.definition.raw["operationId"] == "retry_job":
                    assert self._house.owner.post(f"/jobs/{case.path_parameters[name]}/cancel").status == 200
        if isinstance(case.body, dict) and _is_uuid(case.body.get("project_id")):
            case.body["project_id"] = self._new("project_id", next(self._numbers), deleted=False)
        for name in ("if-match", "If-None-Match"):
            if case.headers.get(name) == "0":  # what schemathesis makes of "0" with quotes
                case.headers[name] = '"1"'
        return case

    def _new(self, parameter: str, number: int, *, deleted: bool) -> str:
        make = {
            "project_id": lambda: self._house.owner.made("/projects", slug=f"p{number}", name="P"),
            "document_id": self._document,
            "user_id": lambda: self._house.owner.made("/users", email=f"u{number}@x.example", display_name="U"),
            "key_id": lambda: self._house.owner.made("/keys", name="k"),
            "tenant_id": self._tenant,
            "job_id": self._job,
        }[parameter]
        found = str(make()["id"])
        if deleted:
            client = self._operator if parameter == "tenant_id" else self._house.owner
            collection = f"/{parameter.removesuffix('_id')}s"
            assert client.delete(f"{collection}/{found}").status == 204
        return found

    def _document(self) -> dict[str, Any]:
        owner, word = self._house.owner, uuid.uuid4().hex
        project = owner.made("/projects", slug=word, name="P")
        return owner.made("/documents", project_id=project["id"], path="a/b", title="D", content="text")

    def _job(self) -> dict[str, Any]:
        owner = self._house.owner
        project = owner.made("/projects", slug=uuid.uuid4().hex, name="P")
        job: dict[str, Any] = owner.post(f"/projects/{project['id']}/export").body
        return job

    def _tenant(self) -> dict[str, Any]:
        made = self._operator.made("/tenants", slug=f"t{uuid.uuid4().hex[:20]}", admin_email="a@b.example")
        tenant: dict[str, Any] = made["tenant"]
        return tenant


def requests_answer(answer: Any) -> requests.Response:
    """schemathesis' answer as the library has it that got it."""
    response = requests.Response()
    response.status_code, response._content = answer.status_code, answer.content
    response.headers.update({name: values[-1] for name, values in answer.headers.items()})
    return response


def is_problem(response: requests.Response) -> None:
    """Whatever is neither a success nor a 304 must be a whole problem."""
    if response.status_code < 300 or response.status_code == 304:
        return
    assert response.headers["content-type"] == PROBLEM, response.content[:200]
    problem = Problem.model_validate_json(response.content)
    assert problem.status == response.status_code
    assert problem.type == f"urn:jeex:problem:{problem.code.lower().replace('_', '-')}"


def _beyond_schema(response: requests.Response) -> bool:
    if response.status_code < 400:
        return False
    wrong = response.json()
    pointers = {one["pointer"] for one in wrong.get("errors") or ()}
    return wrong.get("code") in _BEYOND_SCHEMA or pointers in _BEYOND_FIELDS


def credential_for(name: str, house: House) -> str:
    """Tenants and what the process holds are the operator's; everything else is the owner's."""
    return ADMIN_KEY if "tenant" in name or name == "system_leases" else house.owner.credential


def _is_uuid(text: object) -> bool:
    try:
        uuid.UUID(str(text))
    except ValueError:
        return False
    return True


def _quick(document: dict[str, Any]) -> dict[str, Any]:
    """The document without the one limit that takes seconds to reach; test_projects.py does."""
    document = copy.deepcopy(document)
    for name in ("DocumentNew", "DocumentChange"):
        del document["components"]["schemas"][name]["properties"]["content"]["maxLength"]
    return document
