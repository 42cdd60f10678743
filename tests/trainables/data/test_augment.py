import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.data.augment import MESH, Affine, Elastic, affine

NOTHING = torch.tensor(0.0)
TOLERANCE = 1e-4 * 255


def random_images(*batch, size=(14, 14)):
    return torch.rand(*batch, *size, generator=torch.Generator().manual_seed(0)) * 255


def random_noise(*batch):
    return torch.rand(*batch, 4, generator=torch.Generator().manual_seed(1)) * 2 - 1


def distort(images, noise, *, shift=NOTHING, rotation=NOTHING, scale=NOTHING):
    return affine(images, noise, shift=shift, rotation=rotation, scale=scale)


@pytest.mark.parametrize("batch", [(), (3,), (5, 2), (2, 3, 2), (0, 2)])
def test_affine_without_amplitude_changes_nothing(batch):
    images = random_images(*batch)
    moved = distort(images, random_noise(*batch))
    assert moved.shape == images.shape
    assert moved.dtype == torch.float32
    torch.testing.assert_close(moved, images, atol=TOLERANCE, rtol=0)


def shifted(image, right, down):
    expected = torch.zeros_like(image)
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            if 0 <= row - down < image.shape[0] and 0 <= column - right < image.shape[1]:
                expected[row, column] = image[row - down, column - right]
    return expected


@given(right=st.integers(-4, 4), down=st.integers(-4, 4))
@pytest.mark.parametrize("size", [(14, 14), (6, 9)])
def test_affine_shifts_by_whole_pixels(size, right, down):
    image = random_images(size=size)
    noise = torch.tensor([right / 4, down / 4, 0.3, -0.4])
    moved = distort(image, noise, shift=torch.tensor(4.0))
    torch.testing.assert_close(moved, shifted(image, right, down), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("quarters", [1, 2, 3, -1])
def test_affine_rotates_clockwise_about_the_centre(quarters):
    image = random_images()
    moved = distort(
        image, torch.tensor([0.0, 0.0, 0.5, 0.0]), rotation=torch.tensor(180.0) * quarters
    )
    expected = torch.rot90(image, -quarters)
    torch.testing.assert_close(moved, expected, atol=TOLERANCE, rtol=0)


def test_affine_rotates_before_it_shifts():
    image = random_images()
    moved = distort(
        image,
        torch.tensor([0.5, -1.0, 0.5, 0.0]),
        shift=torch.tensor(2.0),
        rotation=torch.tensor(180.0),
    )
    expected = shifted(torch.rot90(image, -1), 1, -2)
    torch.testing.assert_close(moved, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(("noise", "zoom"), [(1.0, 1.25), (-1.0, 0.8)])
def test_affine_zooms_about_the_centre(noise, zoom):
    row, column = torch.meshgrid(torch.arange(14.0), torch.arange(14.0), indexing="ij")
    ramp = 100 + 3 * (row - 6.5) + 5 * (column - 6.5)
    moved = distort(ramp, torch.tensor([0.0, 0.0, 0.0, noise]), scale=torch.tensor(0.25))
    expected = 100 + (3 * (row - 6.5) + 5 * (column - 6.5)) / zoom
    inner = slice(3, 11)
    torch.testing.assert_close(moved[inner, inner], expected[inner, inner], atol=0.01, rtol=0)


def test_affine_fills_from_outside_with_zeros():
    white = torch.full((14, 14), 255.0)
    moved = distort(white, torch.tensor([1.0, 0.0, 0.0, 0.0]), shift=torch.tensor(3.0))
    assert (moved[:, :3] == 0).all()
    torch.testing.assert_close(moved[:, 3:], white[:, 3:], atol=TOLERANCE, rtol=0)


def test_affine_takes_amplitudes_per_member():
    images, noise = random_images(3, 4, 2), random_noise(3, 4, 2)
    amplitudes = {
        "shift": torch.tensor([0.0, 1.0, 2.0]),
        "rotation": torch.tensor([0.0, 10.0, 45.0]),
        "scale": torch.tensor([0.0, 0.1, 0.5]),
    }
    stacked = distort(
        images, noise, **{name: value[:, None, None] for name, value in amplitudes.items()}
    )
    torch.testing.assert_close(stacked[0], images[0], atol=TOLERANCE, rtol=0)
    for member in range(3):
        alone = {name: value[member] for name, value in amplitudes.items()}
        torch.testing.assert_close(
            stacked[member], distort(images[member], noise[member], **alone)
        )
        assert member == 0 or not torch.allclose(stacked[member], images[member], atol=1)


def test_affine_of_a_batch_equals_one_by_one():
    images, noise = random_images(4, 2), random_noise(4, 2)
    amplitudes = {
        "shift": torch.tensor(2.0),
        "rotation": torch.tensor(20.0),
        "scale": torch.tensor(0.2),
    }
    together = distort(images, noise, **amplitudes)
    for pair in range(4):
        for side in range(2):
            alone = distort(images[pair, side], noise[pair, side], **amplitudes)
            torch.testing.assert_close(together[pair, side], alone)


def test_affine_stays_exact_under_autocast():
    images, noise = random_images(4, 2), random_noise(4, 2)
    plain = distort(images, noise, shift=torch.tensor(2.0), rotation=torch.tensor(20.0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = distort(images, noise, shift=torch.tensor(2.0), rotation=torch.tensor(20.0))
    torch.testing.assert_close(cast, plain)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_affine_on_a_gpu_equals_the_cpu():
    images, noise = random_images(4, 2), random_noise(4, 2)
    amplitudes = (torch.tensor(2.0), torch.tensor(20.0), torch.tensor(0.2))
    expected = affine(
        images, noise, shift=amplitudes[0], rotation=amplitudes[1], scale=amplitudes[2]
    )
    shift, rotation, scale = (amplitude.cuda() for amplitude in amplitudes)
    moved = affine(images.cuda(), noise.cuda(), shift=shift, rotation=rotation, scale=scale)
    torch.testing.assert_close(moved.cpu(), expected, atol=TOLERANCE, rtol=0)


AMOUNTS = {
    name: torch.tensor([[[amount]]])
    for name, amount in {"shift": 1.0, "rotation": 9.0, "scale": 0.1}.items()
}


def elastic(images, noise, amount):
    augment = Elastic(apart=True)
    assert augment.numbers({"images": images.shape[2:]}) == noise.shape[-1]
    amounts = {**AMOUNTS, "elastic": torch.tensor([[[amount]]])}
    return augment({"images": images}, noise.flatten(1), amounts)["images"]


def test_elastic_without_amplitude_is_affine():
    images = random_images(1, 3, 2)
    noise = torch.rand(1, 3, 2 * (4 + 2 * MESH**2))
    moves = noise.view(1, 3, 2, -1)[..., :4].reshape(1, -1)
    expected = Affine(apart=True)({"images": images}, moves, AMOUNTS)["images"]
    torch.testing.assert_close(elastic(images, noise, 0.0), expected, rtol=0, atol=0)


def test_a_mesh_that_moves_as_one_shifts_the_image():
    images = random_images(1, 1, 1)
    noise = torch.full((1, 1, 4 + 2 * MESH**2), 0.5)
    noise[..., 4 : 4 + MESH**2] = 1.0  # every pixel takes the value two pixels to its right
    expected = shifted(images[0, 0, 0], -2, 0)
    torch.testing.assert_close(
        elastic(images, noise, 2.0)[0, 0, 0], expected, atol=TOLERANCE, rtol=0
    )


def test_nodes_move_what_is_near_them():
    images = random_images(1, 1, 1, size=(17, 17))  # a node at each fourth pixel
    noise = torch.full((1, 1, 4 + 2 * MESH**2), 0.5)
    noise[..., 4] = 1.0
    moved, image = elastic(images, noise, 3.0)[0, 0, 0], images[0, 0, 0]
    torch.testing.assert_close(moved[0, 0], image[0, 3], atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(moved[4:], image[4:], atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(moved[:, 4:], image[:, 4:], atol=TOLERANCE, rtol=0)
