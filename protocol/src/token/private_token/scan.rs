//! Challenges and credentials of HTTP (RFC 9110 §11.3, §11.4, §11.6.1).

use zeroize::Zeroizing;

use crate::token::TokenError;

/// What a field is a sequence of.
pub(super) enum Item {
    /// A scheme's name; the parameters that follow are its own. A `token68`
    /// after it is skipped.
    Scheme(String),
    /// A parameter's name, and its value without quotes.
    Parameter(String, Zeroizing<String>),
}

/// Reads a field from front to end.
pub(super) struct Scanner<'a> {
    rest: &'a [u8],
    /// Whether a parameter may follow without a comma: right after a scheme.
    after_scheme: bool,
    begun: bool,
}

impl<'a> Scanner<'a> {
    pub(super) const fn new(field: &'a [u8]) -> Self {
        Self {
            rest: field,
            after_scheme: false,
            begun: false,
        }
    }

    /// The next item; `None` at the end.
    pub(super) fn item(&mut self) -> Result<Option<Item>, TokenError> {
        if !self.after_scheme {
            self.separator()?;
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let name = self.token().ok_or(TokenError::Field)?;
        let after_name = self.rest;
        self.white_space();
        if let Some(rest) = self.rest.strip_prefix(b"=") {
            self.rest = rest;
            self.white_space();
            let value = self.value()?;
            self.after_scheme = false;
            return Ok(Some(Item::Parameter(name, value)));
        }
        if self.after_scheme {
            return Err(TokenError::Field);
        }
        self.rest = after_name;
        self.after_scheme = self.skip_token68()?;
        Ok(Some(Item::Scheme(name)))
    }

    /// Commas and white space before an item: at least one comma but before the
    /// first.
    fn separator(&mut self) -> Result<(), TokenError> {
        let mut commas = 0;
        loop {
            self.white_space();
            match self.rest.strip_prefix(b",") {
                Some(rest) => self.rest = rest,
                None => break,
            }
            commas += 1;
        }
        let between = self.begun && !self.rest.is_empty();
        self.begun = true;
        if between && commas == 0 {
            return Err(TokenError::Field);
        }
        Ok(())
    }

    /// After a scheme's name: whether parameters follow it. A `token68` is
    /// skipped.
    fn skip_token68(&mut self) -> Result<bool, TokenError> {
        if !self.rest.starts_with(b" ") {
            return match self.rest {
                [] | [b',', ..] | [b'\t', ..] => Ok(false),
                _ => Err(TokenError::Field),
            };
        }
        let before = self.rest;
        self.white_space();
        let in_token68 = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
        let length = self.rest.iter().take_while(|byte| in_token68(byte)).count();
        let mut rest = &self.rest[length..];
        while let Some(shorter) = rest.strip_prefix(b"=") {
            rest = shorter;
        }
        let after = rest.trim_ascii_start();
        if after.is_empty() || after.starts_with(b",") {
            // Nothing, or a token68; `name=` without value is one too.
            self.rest = rest;
            return Ok(false);
        }
        self.rest = before;
        self.white_space();
        Ok(true)
    }

    fn white_space(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn token(&mut self) -> Option<String> {
        let length = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
            .count();
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        // Those characters are ASCII.
        (length > 0).then(|| String::from_utf8_lossy(token).into_owned())
    }

    fn value(&mut self) -> Result<Zeroizing<String>, TokenError> {
        let Some(mut rest) = self.rest.strip_prefix(b"\"") else {
            return Ok(Zeroizing::new(self.token().ok_or(TokenError::Field)?));
        };
        let mut value = Zeroizing::new(Vec::new());
        loop {
            let (byte, after) = match rest {
                [b'"', after @ ..] => {
                    self.rest = after;
                    break;
                }
                [b'\\', byte, after @ ..] => (*byte, after),
                [byte, after @ ..] if *byte != b'\\' => (*byte, after),
                _ => return Err(TokenError::Field),
            };
            if byte != b'\t' && !(b' '..=b'~').contains(&byte) {
                return Err(TokenError::Field);
            }
            value.push(byte);
            rest = after;
        }
        let text = std::str::from_utf8(&value).map_err(|_| TokenError::Field)?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}
