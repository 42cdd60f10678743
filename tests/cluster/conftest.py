"""Services for the whole test session, and a bench on them for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.bench import LONGEST_S, Bench, CheckWhole, Undisturbed, new
from tests.cluster.gate import SPACE, Gate
from tests.cluster.networks import Loopback, Networks
from tests.cluster.services import Mlflow, ObjectStore, Postgres
from tests.integration.user import User, check_mlflow, scores


@pytest.fixture(scope="session")
def objects(service_folder: Path) -> Iterator[ObjectStore]:
    pytest.importorskip("moto")
    pytest.importorskip("boto3")
    folder = service_folder / "objects"
    folder.mkdir()
    service = ObjectStore(folder).start()
    yield service
    service.kill()


@pytest.fixture(scope="session")
def mlflow(service_folder: Path, postgres: Postgres, objects: ObjectStore) -> Iterator[Mlflow]:
    folder = service_folder / "mlflow"
    folder.mkdir()
    service = Mlflow(folder, postgres, objects).start()
    yield service
    service.kill()


@pytest.fixture
def bench(
    tmp_path: Path, postgres: Postgres, objects: ObjectStore, mlflow: Mlflow
) -> Iterator[Bench]:
    """A bench whose nodes are all on loopback."""
    bench = Bench(Loopback(), postgres, objects, mlflow, tmp_path)
    yield bench
    bench.close()


@pytest.fixture
def networks() -> Iterator[Networks]:
    networks = Networks.made()
    yield networks
    networks.close()


@pytest.fixture
def far_bench(
    networks: Networks, tmp_path: Path, postgres: Postgres, objects: ObjectStore, mlflow: Mlflow
) -> Iterator[Bench]:
    """A bench whose nodes have networks of their own and can be cut off."""
    bench = Bench(networks, postgres, objects, mlflow, tmp_path)
    yield bench
    bench.close()


@pytest.fixture(scope="session")
def in_peace(
    tmp_path_factory: pytest.TempPathFactory, empty_mlflow: Path
) -> Iterator[Callable[..., User]]:
    """Runs the undisturbed sweep `peace` on one machine, and returns its user.

    Takes the training options; the sweep is run once per set of options.
    """
    known: dict[tuple[object, ...], User] = {}

    def run(*args: object) -> User:
        if args not in known:
            user = known[args] = User(tmp_path_factory.mktemp("undisturbed"), empty_mlflow)
            Gate(user.folder / "gate").space_in(user.folder)
            process = user.start("sweeps/run.py", *new("peace", *args))
            said = process.communicate(timeout=LONGEST_S)
            assert process.returncode == 0, said
        return known[args]

    yield run
    for user in known.values():
        user.clean_up()


@pytest.fixture(scope="session")
def undisturbed(in_peace: Callable[..., User]) -> Undisturbed:
    """Returns the trials of the undisturbed sweep, given its training options."""
    return lambda *args: in_peace(*args).study(f"peace/{SPACE}")


@pytest.fixture(scope="session")
def check_whole(undisturbed: Undisturbed) -> CheckWhole:
    """Checks that study and MLflow have the same results as for the undisturbed sweep."""

    def check(bench: Bench, name: str, *args: object) -> None:
        trials = bench.trials(name)
        assert scores(trials) == scores(undisturbed(*args))
        check_mlflow(bench.runs(name), trials)

    return check
