"""The groups of Ed25519 and P-256 by their formulas: slow, and only for making
edge cases that no signer would make."""

import hashlib


class Edwards25519:
    """-x² + y² = 1 + d·x²·y² (RFC 8032 §5.1)."""

    p = 2**255 - 19
    order = 2**252 + 27742317777372353535851937790883648493
    d = -121665 * pow(121666, -1, p) % p
    identity = (0, 1)

    @classmethod
    def add(cls, a, b):
        (x1, y1), (x2, y2), p = a, b, cls.p
        t = cls.d * x1 * x2 * y1 * y2 % p
        x = (x1 * y2 + x2 * y1) * pow(1 + t, -1, p) % p
        return x, (y1 * y2 + x1 * x2) * pow(1 - t, -1, p) % p

    @classmethod
    def multiply(cls, n, point):
        result = cls.identity
        while n:
            if n & 1:
                result = cls.add(result, point)
            point = cls.add(point, point)
            n >>= 1
        return result

    @classmethod
    def with_y(cls, y):
        """The point with this y and an even x, if there is one."""
        p = cls.p
        square = (y * y - 1) * pow(cls.d * y * y + 1, -1, p) % p
        x = pow(square, (p + 3) // 8, p)
        if x * x % p != square:
            x = x * pow(2, (p - 1) // 4, p) % p
        if x * x % p != square:
            return None
        return (x if x % 2 == 0 else p - x), y

    @classmethod
    def base(cls):
        return cls.with_y(4 * pow(5, -1, cls.p) % cls.p)

    @classmethod
    def torsion(cls):
        """A point of order 8."""
        y = 2
        while True:
            point = cls.with_y(y)
            if point:
                point = cls.multiply(cls.order, point)
                if cls.multiply(4, point) != cls.identity:
                    return point
            y += 1

    @classmethod
    def encode(cls, point):
        x, y = point
        return (y | (x & 1) << 255).to_bytes(32, "little")

    @classmethod
    def challenge(cls, r, a, message):
        return int.from_bytes(hashlib.sha512(r + a + message).digest(), "little") % cls.order


class P256:
    """y² = x³ - 3x + b (FIPS 186-5, SP 800-186 §3.2.1.3); None is the identity."""

    p = 2**256 - 2**224 + 2**192 + 2**96 - 1
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    base = (
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    )

    @classmethod
    def add(cls, a, b):
        p = cls.p
        if a is None or b is None:
            return a or b
        (x1, y1), (x2, y2) = a, b
        if x1 == x2 and (y1 + y2) % p == 0:
            return None
        if a == b:
            slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, p) % p
        else:
            slope = (y2 - y1) * pow(x2 - x1, -1, p) % p
        x = (slope * slope - x1 - x2) % p
        return x, (slope * (x1 - x) - y1) % p

    @classmethod
    def multiply(cls, n, point):
        n, result = n % cls.order, None
        while n:
            if n & 1:
                result = cls.add(result, point)
            point = cls.add(point, point)
            n >>= 1
        return result

    @classmethod
    def with_x(cls, x):
        """The point with this x and an even y, if there is one."""
        square = (x**3 - 3 * x + cls.b) % cls.p
        y = pow(square, (cls.p + 1) // 4, cls.p)
        if y * y % cls.p != square:
            return None
        return x, (y if y % 2 == 0 else cls.p - y)

    @classmethod
    def first_from(cls, x):
        """The point with the smallest x from this one on."""
        while cls.with_x(x) is None:
            x += 1
        return cls.with_x(x)

    @classmethod
    def digest(cls, message):
        return int.from_bytes(hashlib.sha256(message).digest())

    @classmethod
    def key_for(cls, nonce_point, r, s, message):
        """The public key under which (r, s) is a signature of the message, with
        this point as its nonce's: (s·R - z·G) / r."""
        left = cls.multiply(s, nonce_point)
        right = cls.multiply(-cls.digest(message), cls.base)
        return cls.multiply(pow(r, -1, cls.order), cls.add(left, right))
