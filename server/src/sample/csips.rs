//! The CSIPs that vouch for a sample.

use protocol::cose::SigningKey;
use protocol::credential::Issuer;
use protocol::csi::Csi;
use protocol::trust::{Scope, TrustList, TrustListError, TrustedCsip};

use super::SampleError;
use super::mails::DOMAINS;
use super::person::Streams;

/// Telephone CSIPs by the ITU-T E.164 zones that they speak for.
const TELEPHONE: [(&str, &[&str]); 6] = [
    ("north-america.csip.example", &["tel:+1"]),
    ("africa.csip.example", &["tel:+2"]),
    ("europe.csip.example", &["tel:+3", "tel:+4"]),
    ("latin-america.csip.example", &["tel:+5"]),
    ("oceania.csip.example", &["tel:+6"]),
    ("eurasia.csip.example", &["tel:+7", "tel:+8", "tel:+9"]),
];

/// Mail CSIPs by the registered domain that they speak for, with the names in
/// it.
const MAIL: [(&str, &str); 3] = [
    ("mail-com.csip.example", "example.com"),
    ("mail-net.csip.example", "example.net"),
    ("mail-org.csip.example", "example.org"),
];

/// The sample's CSIPs with their secret keys.
pub(super) struct Csips {
    csips: Vec<Csip>,
    trust: TrustList,
}

/// One of them.
pub(super) struct Csip {
    pub(super) issuer: Issuer,
    pub(super) key: SigningKey,
    scopes: Vec<Scope>,
}

impl Csips {
    /// The CSIPs with the keys of these streams.
    pub(super) fn new(streams: &Streams) -> Result<Self, SampleError> {
        let telephone = TELEPHONE
            .iter()
            .map(|(name, scopes)| (*name, scopes.iter().map(ToString::to_string).collect()));
        let mail = MAIL
            .iter()
            .map(|(name, registered)| (*name, mail_scopes(registered)));
        let mut csips = Vec::with_capacity(TELEPHONE.len() + MAIL.len());
        for (at, (name, texts)) in telephone.chain(mail).enumerate() {
            csips.push(csip(at, name, &texts, streams.csip_key(name))?);
        }
        let trusted = csips.iter().map(|csip: &Csip| TrustedCsip {
            issuer: csip.issuer.clone(),
            key: csip.key.verifying_key(),
            scopes: csip.scopes.clone(),
            not_before: None,
            not_after: None,
        });
        let trust = TrustList::new(trusted.collect())?;
        Ok(Self { csips, trust })
    }

    /// Who vouches for the sample.
    pub(super) fn trust(&self) -> &TrustList {
        &self.trust
    }

    /// The CSIP that speaks for an identifier.
    pub(super) fn responsible(&self, csi: &Csi) -> Option<&Csip> {
        self.csips
            .iter()
            .find(|csip| csip.scopes.iter().any(|scope| scope.covers(csi)))
    }
}

fn csip(at: usize, name: &str, texts: &[String], key: SigningKey) -> Result<Csip, SampleError> {
    let entry = at + 1;
    let issuer = Issuer::new(name).map_err(|source| TrustListError::Issuer { entry, source })?;
    let scopes = texts.iter().enumerate().map(|(at, text)| {
        text.parse::<Scope>()
            .map_err(|source| TrustListError::Scope {
                entry,
                number: at + 1,
                source,
            })
    });
    Ok(Csip {
        issuer,
        key,
        scopes: scopes.collect::<Result<_, _>>()?,
    })
}

fn mail_scopes(registered: &str) -> Vec<String> {
    let below = format!(".{registered}");
    let names = DOMAINS
        .iter()
        .filter(|name| **name == registered || name.ends_with(&below));
    names.map(|name| format!("mailto:*@{name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_identifier_has_one_csip() {
        let csips = Csips::new(&Streams::new(1)).unwrap();
        let zones = (1..=9).map(|zone| format!("+{zone}234567"));
        let texts = DOMAINS.iter().map(|domain| format!("a@{domain}"));
        for csi in texts.chain(zones).filter_map(|text| Csi::parse(&text).ok()) {
            let covering = csips
                .csips
                .iter()
                .filter(|csip| csip.scopes.iter().any(|scope| scope.covers(&csi)));
            assert_eq!(covering.count(), 1, "{}", csi.canonical());
        }
        assert!(
            csips
                .responsible(&Csi::parse("a@other.example").unwrap())
                .is_none()
        );
    }

    #[test]
    fn trust_depends_on_the_seed_and_survives_its_text() {
        let trust = |seed| Csips::new(&Streams::new(seed)).unwrap().trust;
        assert_eq!(trust(1).digest(), trust(1).digest());
        assert_ne!(trust(1).digest(), trust(2).digest());
        assert_eq!(TrustList::from_toml(&trust(1).to_toml()).unwrap(), trust(1));
    }
}
