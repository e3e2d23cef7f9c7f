//! Plausible mail addresses of domains that nobody can have (RFC 2606 §3).

use protocol::csi::Csi;
use rand::{Rng, RngExt as _};

/// The domains in use: each is in the scope of one sample CSIP.
pub(super) const DOMAINS: [&str; 12] = [
    "example.com",
    "mail.example.com",
    "office.example.com",
    "studio.example.com",
    "example.net",
    "home.example.net",
    "post.example.net",
    "uni.example.net",
    "example.org",
    "choir.example.org",
    "clinic.example.org",
    "library.example.org",
];

const GIVEN: [&str; 48] = [
    "aiko", "alba", "amara", "anil", "anton", "aylin", "bela", "bruno", "carla", "chidi", "clara",
    "dario", "dina", "elif", "emil", "enzo", "farah", "felix", "greta", "hana", "hugo", "ines",
    "ivan", "jana", "joao", "kaya", "kofi", "lars", "leila", "linh", "marta", "mei", "mila",
    "nadia", "nils", "noor", "olga", "omar", "paula", "petr", "rosa", "samir", "sofia", "tariq",
    "uma", "vera", "yusuf", "zoe",
];

const FAMILY: [&str; 48] = [
    "abel", "adeyemi", "ahmed", "alves", "bauer", "berg", "bianchi", "castro", "chen", "costa",
    "dahl", "diallo", "dubois", "eriksen", "fischer", "garcia", "gupta", "haddad", "hansen",
    "hoang", "ito", "jansen", "kaya", "khan", "kim", "kowalski", "larsen", "lopez", "martin",
    "mensah", "meyer", "mori", "moreau", "nagy", "novak", "okafor", "park", "perez", "petrov",
    "rossi", "sato", "silva", "singh", "tanaka", "tran", "vogel", "weber", "yilmaz",
];

/// A made-up address, such as `vera.okafor217@post.example.net`.
pub(super) fn random<R: Rng>(rng: &mut R) -> Option<Csi> {
    let given = GIVEN[rng.random_range(0..GIVEN.len())];
    let family = FAMILY[rng.random_range(0..FAMILY.len())];
    let domain = DOMAINS[rng.random_range(0..DOMAINS.len())];
    let number = rng.random_range(0..10_000);
    let initial = &given[..1];
    let local = match rng.random_range(0..5) {
        0 => format!("{given}.{family}{number}"),
        1 => format!("{given}{family}{number}"),
        2 => format!("{initial}.{family}{number}"),
        3 => format!("{family}.{given}+{number}"),
        _ => format!("{given}_{family}_{number}"),
    };
    Csi::parse(&format!("{local}@{domain}")).ok()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn addresses_are_of_reserved_domains() {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        for _ in 0..1000 {
            let csi = random(&mut rng).unwrap();
            let (_, domain) = csi.canonical().rsplit_once('@').unwrap();
            let reserved = ["example.com", "example.net", "example.org"];
            assert!(
                reserved
                    .iter()
                    .any(|name| domain == *name || domain.ends_with(&format!(".{name}")))
            );
        }
    }

    #[test]
    fn names_are_not_repeated() {
        for names in [&GIVEN[..], &FAMILY[..], &DOMAINS[..]] {
            assert!(
                names
                    .iter()
                    .enumerate()
                    .all(|(at, name)| !names[..at].contains(name))
            );
            assert!(names.iter().all(|name| name.is_ascii() && !name.is_empty()));
        }
    }
}
