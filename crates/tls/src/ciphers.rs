//! `tls-ciphers` and `tls-ciphersuites`: OpenSSL's words for the suites that rustls has.
//!
//! A list for TLS 1.2 is read as `openssl-ciphers(1)` says: elements between `:`, `,` or blanks; one that begins with `!`
//! removes for good, with `-` until it is named again, with `+` moves to the end; `A+B` is what is both. Words that name
//! nothing rustls has are passed over, as OpenSSL passes over what it does not know; `@…` sets what rustls decides itself.

use crate::error::Error;
use rustls::SupportedCipherSuite;
use rustls::crypto::ring::cipher_suite as ring;

/// A suite of TLS 1.2, its name, and the other words it answers to.
struct Named {
    suite: SupportedCipherSuite,
    name: &'static str,
    words: &'static [&'static str],
}

/// What all suites of TLS 1.2 have in common.
const ALL: &[&str] = &[
    "ALL",
    "DEFAULT",
    "COMPLEMENTOFNULL",
    "HIGH",
    "kECDHE",
    "kEECDH",
    "ECDHE",
    "EECDH",
    "TLSv1.2",
    "SSLv3",
    "TLSv1",
    "TLSv1.0",
    "AEAD",
];

/// Those there are, in OpenSSL's order.
static TLS12: [Named; 6] = [
    Named {
        suite: ring::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        name: "ECDHE-ECDSA-AES256-GCM-SHA384",
        words: &["aECDSA", "ECDSA", "AES256", "AES", "AESGCM", "SHA384"],
    },
    Named {
        suite: ring::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        name: "ECDHE-RSA-AES256-GCM-SHA384",
        words: &["aRSA", "RSA", "AES256", "AES", "AESGCM", "SHA384"],
    },
    Named {
        suite: ring::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        name: "ECDHE-ECDSA-CHACHA20-POLY1305",
        words: &["aECDSA", "ECDSA", "CHACHA20"],
    },
    Named {
        suite: ring::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        name: "ECDHE-RSA-CHACHA20-POLY1305",
        words: &["aRSA", "RSA", "CHACHA20"],
    },
    Named {
        suite: ring::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        name: "ECDHE-ECDSA-AES128-GCM-SHA256",
        words: &["aECDSA", "ECDSA", "AES128", "AES", "AESGCM", "SHA256"],
    },
    Named {
        suite: ring::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        name: "ECDHE-RSA-AES128-GCM-SHA256",
        words: &["aRSA", "RSA", "AES128", "AES", "AESGCM", "SHA256"],
    },
];

/// The suites of TLS 1.3, in OpenSSL's order.
static TLS13: [(SupportedCipherSuite, &str); 3] = [
    (ring::TLS13_AES_256_GCM_SHA384, "TLS_AES_256_GCM_SHA384"),
    (
        ring::TLS13_CHACHA20_POLY1305_SHA256,
        "TLS_CHACHA20_POLY1305_SHA256",
    ),
    (ring::TLS13_AES_128_GCM_SHA256, "TLS_AES_128_GCM_SHA256"),
];

/// The suites of both parameters, most wanted first.
///
/// # Errors
/// A list that leaves nothing.
pub(crate) fn suites(tls12: &str, tls13: &str) -> Result<Vec<SupportedCipherSuite>, Error> {
    let mut suites = suites_of_tls13(tls13)?;
    suites.extend(suites_of_tls12(tls12)?.iter().map(|named| named.suite));
    Ok(suites)
}

fn suites_of_tls13(list: &str) -> Result<Vec<SupportedCipherSuite>, Error> {
    if list.is_empty() {
        return Ok(TLS13.iter().map(|(suite, _)| *suite).collect());
    }
    let named = |word: &str| {
        TLS13
            .iter()
            .find(|(_, name)| *name == word)
            .map(|(suite, _)| *suite)
    };
    let suites: Vec<_> = list.split(':').filter_map(named).collect();
    if suites.is_empty() {
        return Err(Error::Ciphersuites(list.to_owned()));
    }
    Ok(suites)
}

fn suites_of_tls12(list: &str) -> Result<Vec<&'static Named>, Error> {
    if list.is_empty() {
        return Ok(TLS12.iter().collect());
    }
    let mut chosen: Vec<&Named> = Vec::new();
    let mut banned: Vec<&str> = Vec::new();
    for element in list
        .split([':', ',', ' ', ';'])
        .filter(|element| !element.is_empty())
    {
        let (sign, expression) = match element.split_at_checked(1) {
            Some((sign @ ("!" | "-" | "+"), rest)) => (sign, rest),
            _ => ("", element),
        };
        let meant = TLS12.iter().filter(|named| answers(named, expression));
        for named in meant {
            let at = chosen.iter().position(|one| one.name == named.name);
            match (sign, at) {
                ("", None) if !banned.contains(&named.name) => chosen.push(named),
                ("!", _) => banned.push(named.name),
                ("+", Some(at)) => {
                    chosen.remove(at);
                    chosen.push(named);
                }
                ("-", Some(at)) => {
                    chosen.remove(at);
                }
                _ => {}
            }
        }
        chosen.retain(|one| !banned.contains(&one.name));
    }
    if chosen.is_empty() {
        return Err(Error::Ciphers(list.to_owned()));
    }
    Ok(chosen)
}

/// True when a suite is all that an expression `A+B` says.
fn answers(named: &Named, expression: &str) -> bool {
    expression
        .split('+')
        .all(|word| named.name == word || named.words.contains(&word) || ALL.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> Vec<&'static str> {
        suites_of_tls12(list).map_or_else(
            |_| Vec::new(),
            |all| all.iter().map(|one| one.name).collect(),
        )
    }

    #[test]
    fn each_name_names_one_suite_and_the_order_is_kept() {
        for named in &TLS12 {
            assert_eq!(names(named.name), [named.name]);
        }
        assert_eq!(
            names("ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA256 ECDHE-RSA-AES256-GCM-SHA384"),
            ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"]
        );
    }

    #[test]
    fn words_and_signs_are_understood() {
        assert_eq!(names("DEFAULT").len(), 6);
        assert_eq!(names("HIGH:!aECDSA:@SECLEVEL=2").len(), 3);
        assert_eq!(names("ECDHE+AESGCM+aRSA").len(), 2);
        assert_eq!(
            names("ALL:+ECDHE-ECDSA-AES256-GCM-SHA384").last(),
            Some(&"ECDHE-ECDSA-AES256-GCM-SHA384")
        );
        assert_eq!(
            names("CHACHA20:-ECDHE-RSA-CHACHA20-POLY1305:aRSA+CHACHA20").len(),
            2
        );
        assert_eq!(names("!ECDHE-RSA-CHACHA20-POLY1305:CHACHA20").len(), 1);
    }

    #[test]
    fn a_list_that_leaves_nothing_is_refused() {
        for list in [
            "AES128-SHA256",
            "nonsense",
            "DEFAULT:!ALL",
            ":",
            "!",
            "+",
            "é",
        ] {
            assert_eq!(names(list), [""; 0], "{list}");
        }
        assert!(suites_of_tls13("TLS_AES_128_CCM_SHA256").is_err());
        assert_eq!(
            suites_of_tls13("bogus:TLS_AES_128_GCM_SHA256")
                .unwrap()
                .len(),
            1
        );
    }
}
