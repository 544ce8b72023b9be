//! `tls-protocols`.

use crate::error::Error;
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

/// The versions that a list of words names; all if it is empty.
///
/// # Errors
/// A word that names none, or only versions that there are not any more.
pub(crate) fn versions(list: &str) -> Result<Vec<&'static SupportedProtocolVersion>, Error> {
    let words: Vec<String> = list
        .split_whitespace()
        .map(str::to_ascii_lowercase)
        .collect();
    if words.is_empty() {
        return Ok(vec![&TLS12, &TLS13]);
    }
    let known = ["tlsv1", "tlsv1.1", "tlsv1.2", "tlsv1.3"];
    if !words.iter().all(|word| known.contains(&word.as_str())) {
        return Err(Error::Protocols);
    }
    let named = |name: &str| words.iter().any(|word| word == name);
    let mut versions = Vec::new();
    if named("tlsv1.2") {
        versions.push(&TLS12);
    }
    if named("tlsv1.3") {
        versions.push(&TLS13);
    }
    if versions.is_empty() {
        return Err(Error::NoProtocol);
    }
    Ok(versions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> String {
        match versions(list) {
            Ok(versions) => versions
                .iter()
                .map(|one| format!("{:?} ", one.version))
                .collect(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn words_name_versions_in_any_case_and_order() {
        assert_eq!(names(""), "TLSv1_2 TLSv1_3 ");
        assert_eq!(names(" TLSV1.3  tlsv1.2 tlsv1.3"), "TLSv1_2 TLSv1_3 ");
        assert_eq!(names("TLSv1 TLSv1.3"), "TLSv1_3 ");
    }

    #[test]
    fn what_is_no_version_or_leaves_none_is_refused() {
        assert!(names("TLSv1.4").starts_with("Invalid tls-protocols specified. Use a combination"));
        assert!(names("TLSv1.2,TLSv1.3").starts_with("Invalid tls-protocols specified. Use"));
        assert!(names("TLSv1.1 TLSv1").ends_with("add 'TLSv1.2' or 'TLSv1.3'."));
    }
}
