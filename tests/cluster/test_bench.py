"""The test bench itself: faults take effect, and restored services have the same data."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import requests

from tests.cluster.bench import STUDIES, Bench, CheckWhole, new
from tests.cluster.networks import Networks
from tests.cluster.proxy import Proxy
from tests.cluster.services import url
from tests.integration.user import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


@pytest.fixture
def echo() -> Iterator[int]:
    """Port of a service that sends back the data that it receives."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection:
                try:
                    while data := connection.recv(1000):
                        connection.sendall(data)
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def says(connection: socket.socket, text: bytes) -> bytes:
    connection.sendall(text)
    return connection.recv(1000)


def is_refused(proxy: Proxy) -> bool:
    """Whether a new connection breaks off before any data has come through."""
    try:
        with socket.create_connection((proxy.host, proxy.port), 10) as connection:
            return says(connection, b"there?") == b""
    except ConnectionError:
        return True


def test_a_proxy_cuts_refuses_delays_and_comes_back(echo: int) -> None:
    with Proxy(echo) as proxy:
        with socket.create_connection((proxy.host, proxy.port), 10) as connection:
            assert says(connection, b"one") == b"one"
            proxy.delay(0.01)
            assert says(connection, b"two") == b"two"
            proxy.cut()
            with pytest.raises(ConnectionError):
                says(connection, b"three")
        assert is_refused(proxy)
        proxy.restore()
        assert not is_refused(proxy)
        proxy.refuse_next(2)
        assert [is_refused(proxy) for _ in range(3)] == [True, True, False]
        assert (proxy.accepted, proxy.refused) == (3, 3)


def test_a_proxy_without_a_service_refuses(refused_port: int) -> None:
    with Proxy(refused_port) as proxy:
        assert is_refused(proxy)


@pytest.fixture
def refused_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def test_services_that_are_killed_and_started_have_kept_everything(bench: Bench) -> None:
    bench.postgres.execute("create table kept (x int)", STUDIES)
    bench.postgres.execute("insert into kept values (7)", STUDIES)
    names = ["plain", "a folder/with/ümläut & +", "folder/"]
    with bench.objects.client() as client:
        for name in names:
            client.put_object(Bucket=bench.bucket, Key=name, Body=name.encode())
        client.delete_object(Bucket=bench.bucket, Key="plain")
        parts = client.create_multipart_upload(Bucket=bench.bucket, Key="parts")["UploadId"]
        told = client.upload_part(
            Bucket=bench.bucket, Key="parts", UploadId=parts, PartNumber=1, Body=b"in parts"
        )
        client.complete_multipart_upload(
            Bucket=bench.bucket,
            Key="parts",
            UploadId=parts,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": told["ETag"]}]},
        )
    api = f"http://127.0.0.1:{bench.mlflow.port}/api/2.0/mlflow/experiments/create"
    made = requests.post(api, json={"name": bench.bucket}, timeout=30)
    assert made.ok, made.text
    for service in (bench.mlflow, bench.postgres, bench.objects):
        service.kill()
    for service in (bench.postgres, bench.objects, bench.mlflow):
        service.start()
    assert bench.postgres.execute("select x from kept", STUDIES) == [(7,)]
    assert sorted(bench.objects.keys(bench.bucket)) == sorted([*names[1:], "parts"])
    with bench.objects.client() as client:
        for name, content in ((names[1], names[1].encode()), ("parts", b"in parts")):
            found = client.get_object(Bucket=bench.bucket, Key=name)["Body"].read()
            assert found == content
        client.delete_objects(
            Bucket=bench.bucket, Delete={"Objects": [{"Key": name} for name in names]}
        )
    bench.objects.restart()
    assert bench.objects.keys(bench.bucket) == ["parts"]
    again = requests.post(api, json={"name": bench.bucket}, timeout=30)
    assert "RESOURCE_ALREADY_EXISTS" in again.text


def test_a_sweep_over_two_nodes_has_all_in_its_services(
    bench: Bench, check_whole: CheckWhole
) -> None:
    args = ("--trials", 6, "--epochs", 20)
    cluster, user = bench.ray(), bench.user("a")
    node = cluster.add()
    bench.gate.close()
    sweep = bench.start(user, *new("two", *args), on=cluster)
    sweep.until(lambda: bench.gate.waiting() == [cluster.head.name, node.name])
    assert len(node.trials()) == 1
    bench.gate.open()
    sweep.end()
    check_whole(bench, "two", *args)
    assert any("held_out" in key for key in bench.objects.keys("artifacts"))


def test_a_node_is_killed_alone(bench: Bench) -> None:
    cluster = bench.ray()
    node = cluster.add()
    assert node.processes()
    node.kill()
    until(lambda: not node.processes())
    assert any("raylet" in line for line in cluster.head.processes().values())


CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)"


def test_a_node_is_cut_off_and_reconnected(far_bench: Bench, networks: Networks) -> None:
    places = [networks.add(), networks.add()]

    def reached() -> bool:
        words = [*places[0].prefix, sys.executable, "-c", CONNECT]
        words += [networks.gateway, str(far_bench.study.port)]
        return subprocess.run(words, stderr=subprocess.DEVNULL).returncode == 0

    assert reached()
    networks.cut_off(places[0])
    assert not reached()
    networks.reconnect(places[0])
    assert reached()


def test_the_password_is_asked_for(bench: Bench) -> None:
    import psycopg

    address = f"127.0.0.1:{bench.postgres.port}"
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(url(address, STUDIES, "wrong"))
