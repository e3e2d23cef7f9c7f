//! Reading a map with integer keys field by field.

use super::{CborError, Value};

/// A field's integer key.
pub type Field = i64;

/// A map whose fields are taken out one by one; what is left is refused.
///
/// No `Debug`: it holds decoded values.
pub struct MapReader {
    fields: Vec<(Value, Value)>,
}

impl MapReader {
    /// Opens a map.
    ///
    /// # Errors
    /// [`CborError::WrongType`] if it is something else.
    pub fn new(value: Value) -> Result<Self, CborError> {
        Self::within(0, value)
    }

    /// Opens the map that `field` of an outer one holds.
    ///
    /// # Errors
    /// [`CborError::WrongType`] if it is something else.
    pub fn within(field: Field, value: Value) -> Result<Self, CborError> {
        match value {
            Value::Map(fields) => Ok(Self { fields }),
            _ => Err(CborError::WrongType {
                field,
                expected: "a map",
            }),
        }
    }

    /// Takes a field of any type, if there.
    pub fn optional(&mut self, field: Field) -> Option<Value> {
        let key = Value::Integer(field.into());
        let at = self.fields.iter().position(|(other, _)| *other == key)?;
        Some(self.fields.swap_remove(at).1)
    }

    /// Takes a field of any type.
    ///
    /// # Errors
    /// [`CborError::MissingField`].
    pub fn required(&mut self, field: Field) -> Result<Value, CborError> {
        self.optional(field)
            .ok_or(CborError::MissingField { field })
    }

    /// Takes a text field.
    ///
    /// # Errors
    /// [`CborError::MissingField`], [`CborError::WrongType`].
    pub fn text(&mut self, field: Field) -> Result<String, CborError> {
        match self.required(field)? {
            Value::Text(text) => Ok(text),
            _ => Err(CborError::WrongType {
                field,
                expected: "a text string",
            }),
        }
    }

    /// Takes a byte string field.
    ///
    /// # Errors
    /// [`CborError::MissingField`], [`CborError::WrongType`].
    pub fn bytes(&mut self, field: Field) -> Result<Vec<u8>, CborError> {
        match self.required(field)? {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(CborError::WrongType {
                field,
                expected: "a byte string",
            }),
        }
    }

    /// Takes a byte string field of exactly `N` bytes.
    ///
    /// # Errors
    /// [`CborError::MissingField`], [`CborError::WrongType`].
    pub fn byte_array<const N: usize>(&mut self, field: Field) -> Result<[u8; N], CborError> {
        self.optional_byte_array(field)?
            .ok_or(CborError::MissingField { field })
    }

    /// Takes a byte string field of exactly `N` bytes, if there.
    ///
    /// # Errors
    /// [`CborError::WrongType`].
    pub fn optional_byte_array<const N: usize>(
        &mut self,
        field: Field,
    ) -> Result<Option<[u8; N]>, CborError> {
        let wrong = CborError::WrongType {
            field,
            expected: "a byte string of the fixed length",
        };
        match self.optional(field) {
            None => Ok(None),
            Some(Value::Bytes(bytes)) => bytes.try_into().map(Some).map_err(|_| wrong),
            Some(_) => Err(wrong),
        }
    }

    /// Takes an unsigned integer field of at most 64 bits.
    ///
    /// # Errors
    /// [`CborError::MissingField`], [`CborError::WrongType`].
    pub fn unsigned(&mut self, field: Field) -> Result<u64, CborError> {
        let wrong = CborError::WrongType {
            field,
            expected: "an unsigned integer",
        };
        match self.required(field)? {
            Value::Integer(integer) => u64::try_from(integer).map_err(|_| wrong),
            _ => Err(wrong),
        }
    }

    /// Takes a boolean field.
    ///
    /// # Errors
    /// [`CborError::MissingField`], [`CborError::WrongType`].
    pub fn boolean(&mut self, field: Field) -> Result<bool, CborError> {
        match self.required(field)? {
            Value::Bool(value) => Ok(value),
            _ => Err(CborError::WrongType {
                field,
                expected: "a boolean",
            }),
        }
    }

    /// Takes an array field.
    ///
    /// # Errors
    /// [`CborError::MissingField`], [`CborError::WrongType`].
    pub fn array(&mut self, field: Field) -> Result<Vec<Value>, CborError> {
        match self.required(field)? {
            Value::Array(items) => Ok(items),
            _ => Err(CborError::WrongType {
                field,
                expected: "an array",
            }),
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`CborError::UnknownField`] if a field was not taken.
    pub fn finish(self) -> Result<(), CborError> {
        if self.fields.is_empty() {
            Ok(())
        } else {
            Err(CborError::UnknownField)
        }
    }
}
