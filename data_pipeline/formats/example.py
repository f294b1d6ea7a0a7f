"""tf.train.Example without TensorFlow: the message type is built at run time from its published field numbers."""

import functools
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Value = bytes | str | int | float | np.ndarray
_FIELD = descriptor_pb2.FieldDescriptorProto
_LISTS = (("bytes_list", "BytesList", _FIELD.TYPE_BYTES), ("float_list", "FloatList", _FIELD.TYPE_FLOAT),
          ("int64_list", "Int64List", _FIELD.TYPE_INT64))  # fmt: skip


@functools.cache
def _example_class() -> Any:
    # A private package name and pool: TensorFlow or TFDS in the same process register tensorflow.Example themselves.
    package = "jmpose_jax"
    file = descriptor_pb2.FileDescriptorProto(name="jmpose_jax/example.proto", package=package, syntax="proto3")
    feature = descriptor_pb2.DescriptorProto(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, type_name, kind) in enumerate(_LISTS, start=1):
        message = file.message_type.add(name=type_name)
        message.field.add(name="value", number=1, type=kind, label=_FIELD.LABEL_REPEATED)
        feature.field.add(name=name, number=number, type=_FIELD.TYPE_MESSAGE, label=_FIELD.LABEL_OPTIONAL,
                          type_name=f".{package}.{type_name}", oneof_index=0)  # fmt: skip
    file.message_type.add().CopyFrom(feature)
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type=_FIELD.TYPE_MESSAGE, label=_FIELD.LABEL_OPTIONAL,
                    type_name=f".{package}.Feature")  # fmt: skip
    features.field.add(name="feature", number=1, type=_FIELD.TYPE_MESSAGE, label=_FIELD.LABEL_REPEATED,
                       type_name=f".{package}.Features.FeatureEntry")  # fmt: skip
    example = file.message_type.add(name="Example")
    example.field.add(name="features", number=1, type=_FIELD.TYPE_MESSAGE, label=_FIELD.LABEL_OPTIONAL,
                      type_name=f".{package}.Features")  # fmt: skip
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.Example"))


def encode(features: dict[str, Value]) -> bytes:
    """Serialise features as a tf.train.Example.

    Args:
      features: name to bytes, string, number or array. Floats become float32, integers and booleans int64; arrays are
        flattened in C order and their shape is not stored.

    Returns:
      The serialised message; the same features give the same bytes.
    """
    example = _example_class()()
    for name, value in features.items():
        feature = example.features.feature[name]
        if isinstance(value, (bytes, str)):
            feature.bytes_list.value.append(value.encode() if isinstance(value, str) else value)
            continue
        array = np.asarray(value)
        if array.dtype.kind == "f":
            feature.float_list.value.extend(array.astype(np.float32).ravel().tolist())
        elif array.dtype.kind in "iub":
            feature.int64_list.value.extend(array.astype(np.int64).ravel().tolist())
        else:
            raise TypeError(f"feature {name!r} has the type {array.dtype}, which an Example cannot hold")
    return example.SerializeToString(deterministic=True)


def decode(data: bytes) -> dict[str, bytes | np.ndarray]:
    """The features of a serialised tf.train.Example.

    Args:
      data: the message.

    Returns:
      Name to bytes (features of one byte string), float32 [n] or int64 [n]. Features without a value are left out.

    Raises:
      ValueError: where `data` is no Example.
    """
    try:
        example = _example_class().FromString(data)
    except Exception as error:  # the class of the exception differs between protobuf's backends
        raise ValueError(f"not a tf.train.Example: {error}") from error
    features: dict[str, bytes | np.ndarray] = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        if kind is None:
            continue
        values = getattr(feature, kind).value
        if kind == "bytes_list":
            if len(values):
                features[name] = values[0]
        else:
            features[name] = np.array(values, np.float32 if kind == "float_list" else np.int64)
    return features
