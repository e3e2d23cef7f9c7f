//! Telephone numbers.

pub(super) use rlibphonenumber::Region;

use rlibphonenumber::{
    NumberLengthType, PHONE_NUMBER_UTIL, ParseError, PhoneNumber, PhoneNumberFormat,
};
use zeroize::Zeroizing;

use super::{CsiError, TEL};

/// Most digits of an E.164 number (ITU-T E.164 §6.1).
const MAX_DIGITS: usize = 15;

/// The region of an ISO 3166-1 alpha-2 code.
pub(super) fn region(code: &str) -> Result<Region, CsiError> {
    let region = Region::try_from(code.to_ascii_uppercase().as_str());
    let region = region.map_err(|_| CsiError::UnknownRegion)?;
    // Some codes, such as ZZ, name no place that numbers are dialled in.
    let mut with_plan = PHONE_NUMBER_UTIL.get_supported_regions();
    with_plan
        .find(|known| *known == region)
        .ok_or(CsiError::UnknownRegion)
}

/// The canonical form of a number without its scheme.
pub(super) fn canonical(
    number: &str,
    region: Option<Region>,
) -> Result<Zeroizing<String>, CsiError> {
    check_characters(number)?;
    if region.is_none() && !number.trim_start_matches([' ', '(']).starts_with('+') {
        return Err(CsiError::NoCountryCode);
    }
    let e164 = e164(&parsed(number, region)?);
    // A number whose own canonical form reads as another one has none.
    if *self::e164(&parsed(&e164, None)?) != *e164 {
        return Err(CsiError::ImpossibleNumber);
    }
    if e164.len() > 1 + MAX_DIGITS {
        return Err(CsiError::ImpossibleNumber);
    }
    Ok(Zeroizing::new(format!("{TEL}{}", *e164)))
}

/// libphonenumber finds numbers in prose and reads letters as keys; here a
/// number is digits and visual separators, nothing else.
fn check_characters(number: &str) -> Result<(), CsiError> {
    let is_separator = |c| {
        matches!(
            c,
            ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}' | '\u{2010}' | '\u{2011}'
        )
    };
    let mut digits = 0;
    for (at, c) in number.char_indices() {
        match c {
            '0'..='9' => digits += 1,
            '+' if number[..at].chars().all(is_separator) => {}
            c if is_separator(c) => {}
            ';' | ',' | '#' | 'x' | 'X' | 'e' | 'E' if digits > 0 => {
                return Err(CsiError::Extension);
            }
            _ => return Err(CsiError::NotAnIdentifier),
        }
    }
    if digits == 0 {
        Err(CsiError::NotAnIdentifier)
    } else {
        Ok(())
    }
}

/// A number of possible length, with its country code.
fn parsed(number: &str, region: Option<Region>) -> Result<PhoneNumber, CsiError> {
    let parsed = PHONE_NUMBER_UTIL
        .parse(number, region)
        .map_err(|error| match error {
            ParseError::InvalidCountryCode => CsiError::UnknownCountryCode,
            ParseError::NotANumber(_) => CsiError::NotAnIdentifier,
            _ => CsiError::ImpossibleNumber,
        })?;
    if parsed.extension.is_some() {
        return Err(CsiError::Extension);
    }
    match PHONE_NUMBER_UTIL.is_possible_number_with_reason(&parsed) {
        Ok(NumberLengthType::IsPossible) => Ok(parsed),
        _ => Err(CsiError::ImpossibleNumber),
    }
}

fn e164(number: &PhoneNumber) -> Zeroizing<String> {
    Zeroizing::new(
        PHONE_NUMBER_UTIL
            .format(number, PhoneNumberFormat::E164)
            .into_owned(),
    )
}
