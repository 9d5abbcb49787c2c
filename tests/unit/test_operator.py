"""EcrDockerOperator: DockerOperator's behaviour, our parameters, and when they are checked."""

from __future__ import annotations

import copy
import pickle
import re
import ssl
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.docker.operators.docker import DockerOperator
from docker.errors import APIError

from ecr_docker_operator import EcrDockerHook, EcrDockerOperator, EcrError, EcrInputError, EcrPullError, EcrTokenError
from ecr_docker_operator.compat import DAG, AirflowException
from tests.recording_engine import RecordingEngine, execute
from tests.stand.aws import Aws, AwsError
from tests.stand.certificates import Authority
from tests.stand.hosts import ACCOUNT, OTHER_ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

HOST = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
IMAGE = f"{HOST}/app:1"


def run(
    engine: RecordingEngine, operator: type[DockerOperator] = EcrDockerOperator, **parameters: Any
) -> DockerOperator:
    """Run an operator on an engine that pulls but refuses to create a container, and return the operator."""
    given = {"task_id": "task", "image": IMAGE, "docker_url": engine.url, "mount_tmp_dir": False, **parameters}
    task = operator(**given)
    execute(task)
    return task


def requests(engine: RecordingEngine) -> list[Any]:
    """Return the engine's recorded requests, and clear them."""
    asked = list(engine.asked)
    engine.asked.clear()
    return asked


def test_pull_and_container_have_the_same_name(engine: RecordingEngine, aws: Aws) -> None:
    """An image without a host is inspected, pulled and run under its full name, with its registry's token."""
    run(engine, image="team/app:1", registry_id=ACCOUNT, region_name="cn-north-1")
    name = f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn/team/app"
    [pull] = engine.pulls()
    assert pull.query == {"fromImage": [name], "tag": ["1"]}
    asked = {asked.path: asked for asked in engine.asked}
    assert asked["/images/json"].query == {
        "filters": [f'{{"reference": ["{name}:1"]}}'],
        "only_ids": ["0"],
        "all": ["0"],
    }
    assert asked["/containers/create"].body["Image"] == f"{name}:1"
    assert [call.region for call in aws.calls] == ["cn-north-1"]


@pytest.mark.parametrize("force_pull", [False, True])
def test_region_of_image_without_host(
    force_pull: bool, engine: RecordingEngine, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without region_name, an image without a host is in boto3's default region."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    run(engine, image="app:1", registry_id=ACCOUNT, force_pull=force_pull)
    assert engine.pulls()[0].query["fromImage"] == [f"{HOST}/app"]
    assert [call.region for call in aws.calls] == ["eu-west-1"]


def test_alias(engine: RecordingEngine, aws: Aws) -> None:
    """The host that registry_host names gets the token of that registry."""
    alias: dict[str, Any] = {"registry_host": "localhost:5000", "registry_id": ACCOUNT, "region_name": "us-west-2"}
    run(engine, image="localhost:5000/app:1", **alias)
    assert [token.password for token in aws.tokens] == engine.passwords()
    assert [call.region for call in aws.calls] == ["us-west-2"]


@pytest.mark.parametrize("host", ["localhost:5000", "ghcr.io", "docker.io", "quay.io", "registry.example.com"])
@pytest.mark.parametrize(
    "default_args",
    [
        {"region_name": "us-west-2"},
        {"registry_id": ACCOUNT},
        {"registry_id": ACCOUNT, "region_name": "us-west-2"},
        {"registry_id": ACCOUNT, "region_name": "us-west-2", "registry_host": "localhost:5001"},
    ],
    ids=["region", "account", "both", "another-alias"],
)
def test_default_args_are_no_alias(
    default_args: dict[str, Any], host: str, engine: RecordingEngine, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other host gets a token; the login of its docker_conn_id is used."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AIRFLOW_CONN_MINE", f"docker://me:mine@{host.replace(':', '%3A')}")
    run(engine, image=f"{host}/app:1", **default_args)
    run(engine, image=f"{host}/app:1", docker_conn_id="mine", **default_args)
    assert engine.passwords() == [None, "mine"]
    assert aws.calls == []


def test_present_image_costs_nothing(engine: RecordingEngine, aws: Aws) -> None:
    """If the engine has the image, nothing is pulled and AWS is not called."""
    engine.present.add(IMAGE)
    run(engine)
    assert engine.pulls() == []
    assert aws.calls == []


def test_present_image_does_not_import_boto3(engine: RecordingEngine) -> None:
    """If the engine has the image, a task in a new process does not import boto3."""
    engine.present.add(IMAGE)
    program = f"""
import sys
from ecr_docker_operator import EcrDockerOperator
task = EcrDockerOperator(task_id="task", image={IMAGE!r}, docker_url={engine.url!r}, mount_tmp_dir=False)
try:
    task.execute({{}})
except Exception as error:
    print(error)
print(sorted({{name.partition(".")[0] for name in sys.modules}} & {{"boto3", "botocore"}}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "this engine runs nothing" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "image", ["busybox", "busybox:1", "quay.io/team/app:1", "localhost:5000/app", f"{HOST}.evil/x"]
)
@pytest.mark.parametrize("force_pull", [False, True])
@pytest.mark.parametrize("present", [False, True])
def test_other_images_are_dockeroperators(
    image: str, force_pull: bool, present: bool, engine: RecordingEngine, aws: Aws
) -> None:
    """An image outside Amazon ECR causes exactly DockerOperator's engine requests, and no call to AWS."""
    if present:
        engine.present.add(image)
    run(engine, DockerOperator, image=image, force_pull=force_pull)
    expected = requests(engine)
    run(engine, image=image, force_pull=force_pull)
    assert expected == requests(engine)
    assert aws.calls == []


def test_other_images_hide_stream_errors_as_dockeroperator_does(engine: RecordingEngine) -> None:
    """For an image outside Amazon ECR, stream errors are ignored as DockerOperator does."""
    engine.stream = [{"error": "boom"}]
    run(engine, DockerOperator, image="busybox", force_pull=True)
    run(engine, image="busybox", force_pull=True)


def test_stream_error_fails_the_task(engine: RecordingEngine, aws: Aws) -> None:
    """An error inside the pull stream fails the task, even if an older image could run."""
    engine.present.add(IMAGE)
    engine.stream = [{"status": "Pulling"}, {"error": "boom"}]
    task = EcrDockerOperator(task_id="task", image=IMAGE, docker_url=engine.url, force_pull=True)
    with pytest.raises(EcrPullError, match="boom"):
        task.execute({})
    assert [asked.path for asked in engine.asked if asked.path.startswith("/containers")] == []
    assert len(aws.calls) == 1


def test_refused_token_fails_the_task(engine: RecordingEngine, aws: Aws) -> None:
    """Without a token, nothing is pulled, and the error names the image."""
    aws.fault = AwsError(400, "AccessDeniedException", "no")
    task = EcrDockerOperator(task_id="task", image=IMAGE, docker_url=engine.url)
    with pytest.raises(EcrTokenError, match=rf"^{IMAGE}: not pulled\. Amazon ECR registry {ACCOUNT} in eu-west-1: no"):
        task.execute({})
    assert engine.pulls() == []


BAD = [
    ({"image": f"https://{HOST}/app:1"}, "image: "),
    ({"image": ""}, "image: "),
    ({"registry_id": "1234"}, "registry_id: expected"),
    ({"registry_id": ""}, "registry_id: expected"),
    ({"registry_id": 1234}, "registry_id: expected"),
    ({"region_name": ""}, "region_name: no AWS partition"),
    ({"registry_id": OTHER_ACCOUNT}, f"registry_id: '{OTHER_ACCOUNT}' contradicts"),
    ({"region_name": "mars-north-1"}, "region_name: no AWS partition"),
    ({"region_name": "us-west-2"}, "region_name: 'us-west-2' contradicts"),
]


@pytest.mark.parametrize("value", [timedelta(0), timedelta(days=-1), 7, "7 days", "{{ params.days }}", False])
def test_bad_retention(value: Any) -> None:
    """A retention that is not positive fails when the DAG is parsed; it cannot be a template."""
    with pytest.raises(EcrInputError, match=r"^image_retention: expected a positive timedelta, such as .*, got "):
        EcrDockerOperator(task_id="task", image=IMAGE, image_retention=value)


def test_nothing_is_noted_without_retention(engine: RecordingEngine, aws: Aws) -> None:
    """The engine records the time of a pull only with ``image_retention``; a refusal does not fail the task."""
    run(engine)
    plain = [asked.path for asked in requests(engine)]
    run(engine, image_retention=timedelta(days=1))
    noting = [asked.path for asked in requests(engine)]
    assert plain == [path for path in noting if not path.endswith("/tag")]
    assert f"/images/{IMAGE}/tag" in noting
    assert len(aws.calls) == 2


@pytest.mark.parametrize(("parameters", "sentence"), BAD)
def test_bad_input_at_parse(parameters: dict[str, Any], sentence: str) -> None:
    """Parameters that are invalid before rendering fail when the DAG is parsed."""
    with DAG("dag", schedule=None), pytest.raises(EcrInputError, match="^" + sentence):
        EcrDockerOperator(**{"task_id": "task", "image": IMAGE, **parameters})


def templated(engine: RecordingEngine, names: Iterable[str], **given: Any) -> EcrDockerOperator:
    """Return a task of a DAG with a template for each of *names*."""
    templates = {name: f"{{{{ params.{name} }}}}" for name in names}
    with DAG("dag", schedule=None):
        return EcrDockerOperator(task_id="task", docker_url=engine.url, **{"image": IMAGE, **given, **templates})


def rendered_to(engine: RecordingEngine, name: str, value: Any) -> EcrDockerOperator:
    """Return a task whose template for *name* has become *value*, as by native rendering or from an XCom."""
    given = {"registry_id": ACCOUNT, "region_name": "eu-west-1"} if name == "registry_host" else {}
    task = templated(engine, [name], **given)
    setattr(task, name, value)
    return task


def input_error(task: EcrDockerOperator, engine: RecordingEngine, aws: Aws) -> str:
    """Return the error of *task*; the engine and AWS may not be contacted."""
    with pytest.raises(EcrInputError) as caught:
        task.execute({})
    assert engine.asked == []
    assert aws.calls == []
    return str(caught.value)


@pytest.mark.parametrize(("parameters", "sentence"), BAD)
@pytest.mark.parametrize("force_pull", [False, True])
def test_bad_input_after_rendering(
    parameters: dict[str, Any], sentence: str, force_pull: bool, engine: RecordingEngine, aws: Aws
) -> None:
    """Parameters that are invalid after rendering fail before the engine or AWS is contacted."""
    task = templated(engine, parameters, force_pull=force_pull)
    task.render_template_fields({"params": parameters})
    if "" in parameters.values():
        sentence = f"{next(iter(parameters))}: its template renders to ''; correct the template or what it reads, or "
    assert re.match(sentence, input_error(task, engine, aws))


@pytest.mark.parametrize("value", [None, "", " ", "None", "\n"], ids=repr)
@pytest.mark.parametrize("name", ["image", "aws_conn_id", "region_name", "registry_id", "registry_host", "verify"])
def test_template_that_renders_to_nothing(name: str, value: str | None, engine: RecordingEngine, aws: Aws) -> None:
    """A parameter that was given and renders to nothing is not taken for one that was not given."""
    error = input_error(rendered_to(engine, name, value), engine, aws)
    assert error == (
        f"{name}: its template renders to {value!r}; correct the template or what it reads, or omit {name}."
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name in ("image", "aws_conn_id", "region_name", "registry_id", "registry_host", "verify")
        for value in (5, True, 1.5, ["x"], {"x": "y"}, (), b"x")
        if (name, value) != ("verify", True)
    ],
    ids=repr,
)
def test_template_that_renders_to_another_type(name: str, value: Any, engine: RecordingEngine, aws: Aws) -> None:
    """A value of another type, such as an XCom's, fails before anything is contacted, whatever the type."""
    error = input_error(rendered_to(engine, name, value), engine, aws)
    # A number may be an account, so it is shown as text.
    assert re.match(
        rf"{name}: (expected .*, got|no AWS partition has a region like) '?{re.escape(repr(value))}'?[.;]", error
    )


def test_parameters_that_are_not_given_are_defaults(engine: RecordingEngine, aws: Aws) -> None:
    """What a user leaves out, or sets to None, is a default after rendering, too."""
    names = ("aws_conn_id", "region_name", "registry_id", "registry_host", "verify", "botocore_config")
    defaults: dict[str, Any] = dict.fromkeys(names)
    run(engine, **defaults)
    assert len(aws.calls) == 1


@pytest.mark.parametrize("image", ["https://ghcr.io/app", "Not:Valid:1", "busybox latest", " busybox"])
def test_other_images_are_not_checked_at_parse(image: str) -> None:
    """When a DAG is parsed, an image outside Amazon ECR is DockerOperator's, whatever it is."""
    with DAG("dag", schedule=None):
        EcrDockerOperator(task_id="task", image=image)


def test_no_region_after_rendering(engine: RecordingEngine) -> None:
    """A registry id without any region fails before the engine is contacted."""
    task = EcrDockerOperator(task_id="task", image="app:1", registry_id=ACCOUNT, docker_url=engine.url)
    with pytest.raises(EcrInputError, match=r"^region_name: the region of the image"):
        task.execute({})
    assert engine.asked == []


def test_templates(engine: RecordingEngine, aws: Aws) -> None:
    """The image and all our strings are templates; other values are unchanged."""
    task = EcrDockerOperator(
        task_id="task",
        image="{{ params.repository }}:{{ params.tag }}",
        aws_conn_id="{{ params.connection }}",
        region_name="{{ params.region }}",
        registry_id="{{ params.account }}",
        verify=False,
        docker_url=engine.url,
        mount_tmp_dir=False,
    )
    params = {"repository": "app", "tag": "1", "connection": "mine", "region": "eu-west-1", "account": ACCOUNT}
    task.render_template_fields({"params": params})
    assert (task.aws_conn_id, task.region_name, task.registry_id, task.verify) == ("mine", "eu-west-1", ACCOUNT, False)
    with pytest.raises(APIError):
        task.execute({})
    assert engine.pulls()[0].query["fromImage"] == [f"{HOST}/app"]
    assert [token.password for token in aws.tokens] == engine.passwords()


def test_native_rendering(engine: RecordingEngine, aws: Aws) -> None:
    """An account that native rendering turns into a number still works."""
    run(engine, image="app:1", registry_id=int(ACCOUNT), region_name="eu-west-1")
    assert engine.pulls()[0].query["fromImage"] == [f"{HOST}/app"]
    assert len(aws.calls) == 1


def test_template_fields_are_dockeroperators_and_ours() -> None:
    """All template fields of DockerOperator are kept."""
    ours = set(EcrDockerOperator.template_fields) - set(DockerOperator.template_fields)
    assert ours == {"aws_conn_id", "region_name", "registry_id", "registry_host", "verify"}
    assert set(DockerOperator.template_fields) <= set(EcrDockerOperator.template_fields)


def test_default_args() -> None:
    """Our parameters can come from the DAG's default_args."""
    with DAG("dag", schedule=None, default_args={"aws_conn_id": "mine", "region_name": "eu-west-1", "cpus": 2.0}):
        task = EcrDockerOperator(task_id="task", image=IMAGE)
    assert (task.aws_conn_id, task.region_name, task.cpus) == ("mine", "eu-west-1", 2.0)


def test_expand() -> None:
    """Our parameters can be mapped, and set with partial."""
    with DAG("dag", schedule=None):
        mapped = EcrDockerOperator.partial(task_id="task", aws_conn_id="mine", command="true").expand(
            image=[IMAGE, "public.ecr.aws/x"], region_name=["eu-west-1", None]
        )
    task = mapped.unmap({"image": IMAGE, "region_name": "eu-west-1"})
    assert isinstance(task, EcrDockerOperator)
    assert (task.image, task.aws_conn_id, task.region_name, task.command) == (IMAGE, "mine", "eu-west-1", "true")


def test_second_engine_url(engine: RecordingEngine, aws: Aws) -> None:
    """With several engine URLs, the first one that answers pulls, with our token."""
    with RecordingEngine() as gone:
        pass
    run(engine, docker_url=[gone.url, engine.url])
    assert [token.password for token in aws.tokens] == engine.passwords()


def test_tls(tmp_path: Path, aws: Aws) -> None:
    """The TLS parameters reach the engine as with DockerOperator: with a client certificate, over https."""
    authority = Authority(tmp_path)
    (tmp_path / "ca.pem").write_text(authority.certificate)
    server, worker = authority.issue_file("127.0.0.1"), authority.issue_file("worker")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server)
    context.load_verify_locations(tmp_path / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    ca = str(tmp_path / "ca.pem")
    with RecordingEngine(context) as engine:
        run(engine, tls_ca_cert=ca, tls_client_cert=str(worker), tls_client_key=str(worker))
        assert [token.password for token in aws.tokens] == engine.passwords()


@pytest.fixture
def own_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Aws, str]]:
    """Provide AWS with a certificate that is trusted only by way of the given file."""
    authority = Authority(tmp_path)
    (tmp_path / "aws.pem").write_text(authority.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue_file("127.0.0.1"))
    with Aws(context) as api:
        worker = api.add_user(ACCOUNT, "worker")
        monkeypatch.setenv("AWS_ENDPOINT_URL", api.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", worker.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", worker.secret_key)
        yield api, str(tmp_path / "aws.pem")


# urllib3 warns about verify=False.
@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_verify(own_aws: tuple[Aws, str], engine: RecordingEngine) -> None:
    """``verify`` names the certificate file for AWS, in operator and hook; without it, the call fails."""
    api, certificates = own_aws
    once = {"retries": {"total_max_attempts": 1}}
    run(engine, verify=certificates)
    run(engine, verify=False)
    run(engine, verify="False")
    EcrDockerHook(base_url=engine.url, verify=certificates).get_conn().pull(IMAGE)
    assert len(api.calls) == 4
    task = EcrDockerOperator(task_id="task", image=IMAGE, docker_url=engine.url, botocore_config=once)
    with pytest.raises(
        EcrTokenError, match=r"CERTIFICATE_VERIFY_FAILED.* Set verify to the file with the certificates of"
    ):
        task.execute({})
    assert len(api.calls) == 4


def test_botocore_config(engine: RecordingEngine, aws: Aws) -> None:
    """``botocore_config`` reaches the client, from operator and hook: here, it gives up at the first refusal."""
    once = {"retries": {"total_max_attempts": 1}}
    throttled = AwsError(400, "ThrottlingException", "Rate exceeded")
    aws.faults = [throttled]
    task = EcrDockerOperator(task_id="task", image=IMAGE, docker_url=engine.url, botocore_config=once)
    with pytest.raises(EcrTokenError, match="Let fewer tasks pull at once"):
        task.execute({})
    aws.faults = [throttled]
    with pytest.raises(EcrTokenError, match="Let fewer tasks pull at once"):
        EcrDockerHook(base_url=engine.url, botocore_config=once).get_conn().pull(IMAGE)


def test_alias_beside_another_image(engine: RecordingEngine, aws: Aws) -> None:
    """The alias gets a token whatever the task's own image is."""
    made = EcrDockerOperator(
        task_id="made",
        image="ghcr.io/me/job:1",
        docker_url=engine.url,
        registry_host="localhost:5000",
        registry_id=ACCOUNT,
        region_name="eu-west-1",
    )
    made.cli.pull("localhost:5000/side:1")
    assert [token.password for token in aws.tokens] == engine.passwords()
    assert len(aws.tokens) == 1


@pytest.mark.parametrize("image", [None, 5, f"{HOST}/", "{{ x }} "])
def test_on_kill_of_a_task_that_cannot_run(image: Any) -> None:
    """It does nothing, as DockerOperator's; that the task cannot run, its execution says."""
    made = EcrDockerOperator(task_id="made", image="app:1", dag=DAG("dag", schedule=None))
    made.image = image
    made.on_kill()
    with pytest.raises(EcrInputError):
        made.execute({})


def test_on_kill_asks_nothing(engine: RecordingEngine, aws: Aws) -> None:
    """Killing a task that never reached its engine contacts nobody."""
    task = EcrDockerOperator(task_id="task", image=IMAGE, docker_url=engine.url)
    task.on_kill()
    assert engine.asked == []
    assert aws.calls == []


@pytest.mark.parametrize("how", [copy.deepcopy, lambda task: pickle.loads(pickle.dumps(task))], ids=["copy", "pickle"])  # noqa: S301
def test_copy_after_running(how: Callable[[Any], Any], engine: RecordingEngine, aws: Aws) -> None:
    """A task that has run can be copied and pickled; the copy has no token, and pulls with a new one."""
    task = run(engine)
    again = how(task)
    assert aws.tokens[0].password not in str(vars(again)) + str(vars(again.hook))
    with pytest.raises(APIError):
        again.execute({})
    assert len(set(engine.passwords())) == 2
    assert [token.password for token in aws.tokens] == engine.passwords()


def test_left_over_connection(engine: RecordingEngine, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that still names an ECR connection of a refresh DAG works without it."""
    monkeypatch.setenv("AIRFLOW_CONN_ECR", f"docker://AWS:expired@{HOST}")
    run(engine, docker_conn_id="ecr")
    assert [asked.path for asked in engine.asked if asked.path == "/auth"] == []
    assert [token.password for token in aws.tokens] == engine.passwords()


def test_hook_and_client_are_one() -> None:
    """``hook`` is an EcrDockerHook, created once, and not before the task runs."""
    task = EcrDockerOperator(task_id="task", image=IMAGE)
    assert "hook" not in vars(task)
    assert isinstance(task.hook, EcrDockerHook)
    assert task.hook is task.hook


def test_what_execute_sets_counts(engine: RecordingEngine, aws: Aws) -> None:
    """Attributes set in a subclass's ``execute`` take effect as under DockerOperator, also after ``pre_execute``."""

    class Late(EcrDockerOperator):
        def execute(self, context: Any) -> Any:
            self.docker_url, self.image, self.timeout = engine.url, "job:v1", 7
            return super().execute(context)

    with DAG("dag", schedule=None):
        task = Late(
            task_id="task",
            image="other:1",
            docker_url="tcp://127.0.0.1:1",
            registry_id=ACCOUNT,
            region_name="eu-west-1",
            allow_nested_operators=True,
        )
    task.pre_execute({})
    execute(task)
    [pull] = engine.pulls()
    assert pull.query["fromImage"] == [f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/job"]
    assert engine.passwords() == [aws.tokens[0].password]
    assert task.hook.api_client.timeout == 7


def test_short_image_after_an_early_look_at_the_hook(engine: RecordingEngine, aws: Aws) -> None:
    """A short image that is set after the first access to the hook still gets its registry."""
    task = EcrDockerOperator(
        task_id="task", image="other:1", docker_url=engine.url, registry_id=ACCOUNT, region_name="eu-west-1"
    )
    assert task.hook.registry
    task.image = "job:v1"
    execute(task)
    assert task.image == f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/job:v1"
    assert engine.passwords() == [aws.tokens[0].password]


def test_errors_are_airflows() -> None:
    """Every error is an AirflowException, so that retries and callbacks behave as usual."""
    assert issubclass(EcrError, AirflowException)
