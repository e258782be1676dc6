"""Seven-segment digits: what a label promises is on the image, in the frame, and the same every time."""

import numpy as np
import pytest

from meanflow_audio_codec.configs.data import SyntheticImagesConfig
from meanflow_audio_codec.datasets.build import build_dataset
from meanflow_audio_codec.datasets.synthetic_images import NUM_CLASSES, SyntheticImages


def labelled(data: SyntheticImages, step: int) -> tuple[np.ndarray, np.ndarray]:
    batch = data.batch(step)
    assert batch.label is not None
    return batch.signal, batch.label


def test_a_batch_depends_on_seed_split_and_step_alone() -> None:
    data = build_dataset(SyntheticImagesConfig(), "train", data_directory=None, batch_size=7, seed=3)
    assert isinstance(data, SyntheticImages)
    assert (data.spec.shape, data.num_classes) == ((28, 28), NUM_CLASSES)
    image, label = labelled(data, 5)
    again, same = labelled(SyntheticImages(batch_size=7, seed=3), 5)
    np.testing.assert_array_equal(again, image)
    np.testing.assert_array_equal(same, label)
    others = [
        data.batch(6),
        SyntheticImages(batch_size=7, seed=4).batch(5),
        SyntheticImages(batch_size=7, seed=3, split="test").batch(5),
    ]
    assert not any(np.array_equal(other.signal, image) for other in others)
    first, second = list(data.evaluation()), list(data.evaluation())
    assert len(first) == data.num_evaluation_batches
    np.testing.assert_array_equal(first[1].signal, second[1].signal)
    with pytest.raises(ValueError, match="split"):
        SyntheticImages(batch_size=1, split="all")


def test_strokes_lie_within_the_image_and_differ_in_width_and_sharpness() -> None:
    images, label = labelled(SyntheticImages(batch_size=2000), 0)
    assert (images.shape, images.dtype) == ((2000, 28, 28), np.float32)
    assert set(label.tolist()) == set(range(NUM_CLASSES))
    assert images.min() == -1.0
    assert 0.99 < images.max() <= 1.0
    border = np.concatenate([images[:, [0, -1]], images[:, :, [0, -1]].swapaxes(1, 2)], axis=1)
    assert border.max() < 0.0
    # A thin stroke still leaves a clear line; the position uses the room.
    assert images.max(axis=(1, 2)).min() > 0.5
    ink = (images + 1.0) / 2.0
    for axis in (1, 2):
        centre = (ink.sum(axis=3 - axis) @ np.arange(28.0)) / ink.sum(axis=(1, 2))
        assert centre.std() > 1.0


def test_the_mean_image_of_each_digit_tells_it_from_the_others() -> None:
    """A digit moved to its bounding box correlates best with the mean of its class: the labels say what is drawn."""

    def centred(images: np.ndarray) -> np.ndarray:
        """Rows and columns of ink only, sampled at 12 x 12 places."""
        result = []
        for image in images:
            rows, columns = (np.flatnonzero((image > 0.0).any(axis=axis)) for axis in (1, 0))
            i = np.linspace(rows[0], rows[-1], 12).round().astype(int)
            j = np.linspace(columns[0], columns[-1], 12).round().astype(int)
            result.append(image[np.ix_(i, j)].ravel())
        vectors = np.array(result)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    images, label = labelled(SyntheticImages(batch_size=1000), 0)
    vectors = centred(images)
    means = np.array([vectors[label == digit].mean(axis=0) for digit in range(NUM_CLASSES)])
    unseen, truth = labelled(SyntheticImages(batch_size=500, split="test"), 0)
    accuracy = np.mean((centred(unseen) @ means.T).argmax(axis=1) == truth)
    assert accuracy > 0.9


def test_an_eight_holds_all_digits_and_a_zero_lacks_its_middle() -> None:
    """Averaged over many draws: the middle of an 8 is inked, that of a 0 is not, and a 1 is the least ink."""
    images, label = labelled(SyntheticImages(batch_size=4000), 1)
    ink = np.array([(images[label == digit] + 1.0).mean() for digit in range(NUM_CLASSES)])
    assert ink.argmax() == 8
    assert ink.argmin() == 1
    # Two to seven lit segments of equal or shorter bars: in the order of their number.
    assert ink[1] < ink[7] < ink[4] < ink[5] < ink[6] < ink[8]
