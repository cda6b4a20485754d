# SPDX-License-Identifier: GPL-2.0-or-later
"""Registers as class bodies of bit positions: reading, building, printing and checking derive from the body.

class Wfx(Register):
    TI = Field(1, 0, names=WfxKind)
    RV = Field(2)

Wfx(0x5).TI, str(Wfx(0x5))        # 1, "TI=WFE(0x1) RV=1"
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import ClassVar, Self, overload


class Field:
    """Bits [hi:lo] of a register.

    names: what the values are called; always: printed even when zero; doc: what the field means.
    """

    __slots__ = ("always", "doc", "hi", "lo", "mask", "name", "names")

    def __init__(
        self,
        hi: int,
        lo: int | None = None,
        *,
        names: type[IntEnum] | None = None,
        always: bool = False,
        doc: str = "",
    ) -> None:
        self.hi = hi
        self.lo = hi if lo is None else lo
        if not 0 <= self.lo <= self.hi:
            raise ValueError(f"bits [{self.hi}:{self.lo}] are no field")
        self.mask = (1 << self.hi + 1) - (1 << self.lo)
        self.names = names
        self.always = always or names is not None
        self.doc = doc
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, register: None, owner: type) -> Field: ...
    @overload
    def __get__(self, register: Register, owner: type) -> int: ...
    def __get__(self, register: Register | None, owner: type) -> Field | int:
        return self if register is None else self.get(register.value)

    def get(self, value: int) -> int:
        """The field of a register's value."""
        return (value & self.mask) >> self.lo

    def put(self, value: int) -> int:
        """`value` in its place; ValueError when it does not fit."""
        placed = value << self.lo
        if value < 0 or placed & ~self.mask:
            raise ValueError(f"{self.name}: {value:#x} does not fit bits [{self.hi}:{self.lo}]")
        return placed

    def text(self, value: int) -> str:
        """A value of the field as it is printed: `GPF(0x28)`, `0x3f`, `9`."""
        if self.names is not None:
            return value_name(self.names, value)
        return str(value) if value < 10 else f"{value:#x}"


class Register:
    """Base of the class bodies.  A value may be wider than the fields: what they leave out is reserved."""

    fields: ClassVar[Mapping[str, Field]] = {}
    width: ClassVar[int] = 64
    known: ClassVar[int] = 0
    __slots__ = ("value",)

    def __init_subclass__(cls, width: int = 64) -> None:
        fields: dict[str, Field] = dict(cls.fields)
        known = cls.known
        for name, member in vars(cls).items():
            if isinstance(member, Field):
                if known & member.mask or member.hi >= width:
                    raise ValueError(f"{cls.__name__}.{name} overlaps another field, or is beyond bit {width - 1}")
                known |= member.mask
                fields[name] = member
        cls.fields, cls.known, cls.width = fields, known, width

    def __init__(self, value: int = 0) -> None:
        self.value = value & (1 << self.width) - 1

    @classmethod
    def of(cls, **values: int) -> Self:
        """The register with these fields set, all other bits zero.  KeyError, ValueError for what does not fit."""
        value = 0
        for name, number in values.items():
            value |= cls.fields[name].put(number)
        return cls(value)

    def as_dict(self) -> dict[str, int]:
        """{field: value}, in the order of declaration."""
        return {name: field.get(self.value) for name, field in self.fields.items()}

    def reserved(self) -> int:
        """The bits that are set and belong to no field."""
        return self.value & ~self.known

    def problems(self) -> list[str]:
        """What the architecture does not allow: reserved bits set, values that have no name."""
        found = [
            f"{name}: {field.get(self.value):#x} is reserved"
            for name, field in self.fields.items()
            if field.names is not None and field.get(self.value) not in {int(member) for member in field.names}
        ]
        if self.reserved():
            found.append(f"reserved bits {self.reserved():#x} are set")
        return found

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, Register) and other.value == self.value

    def __hash__(self) -> int:
        return hash((type(self), self.value))

    def __int__(self) -> int:
        return self.value

    def __str__(self) -> str:
        parts = []
        for name, field in self.fields.items():
            value = field.get(self.value)
            if value or field.always:
                parts.append(f"{name}={field.text(value)}")
        if self.reserved():
            parts.append(f"RES={self.reserved():#x}")
        return " ".join(parts) or "0"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value:#x})"


def value_name(names: type[IntEnum], value: int) -> str:
    """`NAME(0x1f)`, or `0x1f` for a value without a name."""
    try:
        return f"{names(value).name}({value:#x})"
    except ValueError:
        return f"{value:#x}"
