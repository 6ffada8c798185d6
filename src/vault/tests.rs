use super::*;
use crate::verification::policy::PolicyHash;
use crate::verification::values::{AppName, Bucket, Timestamp};

fn vault() -> Vault {
    Vault::new(&[7; 32])
}

fn id() -> VerificationId {
    VerificationId::new(Timestamp::from_millis(1_795_000_000_000), Bucket::new(5), 77)
}

fn request(vault: &Vault, code: CodeSource) -> Request {
    let id = id();
    let person = Person { to: "+12025550100".to_owned(), metadata: BTreeMap::new() };
    Request {
        id,
        app: AppName::new("shop"),
        policy: PolicyHash([0; 16]),
        number: NumberIndex([0; 16]),
        tail: None,
        person: vault.seal_person(id, &person).unwrap(),
        country: None,
        locale: Some("en".to_owned()),
        client_ref: None,
        code,
    }
}

#[test]
fn a_code_is_derived_again_and_again_and_keeps_its_leading_zeros() {
    let vault = vault();
    let mut leading_zero = false;
    for _ in 0..400 {
        let request = request(&vault, vault.new_code(id()).unwrap());
        let code = vault.code(&request, 6).unwrap();
        assert_eq!(code.expose_secret(), vault.code(&request, 6).unwrap().expose_secret());
        assert_eq!(code.expose_secret().len(), 6);
        leading_zero |= code.expose_secret().starts_with('0');
    }
    assert!(leading_zero, "one of ten codes begins with a zero");
}

#[test]
fn digits_are_even() {
    let key = keyed(&[7; 32]);
    let mut counts = [0_u32; 10];
    for n in 0..20_000_u128 {
        let id = VerificationId::new(Timestamp::from_millis(1), Bucket::new(5), 77);
        let code = derive_code(&key, id, &n.to_be_bytes(), 10);
        code.expose_secret().bytes().for_each(|digit| counts[usize::from(digit - b'0')] += 1);
    }
    let expected = 20_000.0;
    let chi_square: f64 = counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
    assert!(chi_square < 27.9, "9 degrees of freedom exceed 27.9 once in a thousand keys: {chi_square}");
}

#[test]
fn a_custom_code_comes_back_and_compares() {
    let vault = vault();
    let request = request(&vault, vault.custom_code(id(), "Ab12").unwrap());
    let code = vault.code(&request, 6).unwrap();
    assert_eq!(Vault::compare(&code, "Ab12"), Comparison::Match);
    for wrong in ["ab12", "Ab1", "Ab123", "", "Ab12\0"] {
        assert_eq!(Vault::compare(&code, wrong), Comparison::Differ);
    }
}

#[test]
fn a_number_has_one_name_whoever_tells_it_and_a_user_id_another() {
    let vault = vault();
    let number = vault.known_as(&Alias::number("12025550100").unwrap());
    let phone = Phone::parse("+12025550100").unwrap();
    assert_eq!((number.index, number.tail), (vault.number_index(&phone), Some(vault.number_tail("0100"))));
    let user = vault.known_as(&Alias::user("+12025550100").unwrap());
    assert!(user.index != number.index && user.tail.is_none());
    assert_ne!(user, Vault::new(&[8; 32]).known_as(&Alias::user("+12025550100").unwrap()));
    for alias in [Alias::number("12025550100"), Alias::user("US.12025550100")] {
        assert!(!format!("{alias:?}").contains("2025550"), "{alias:?}");
    }
}

#[test]
fn ends_of_numbers_are_kept_apart() {
    let vault = vault();
    let tails: std::collections::HashSet<_> =
        (0..10_000).map(|end| vault.number_tail(&format!("{end:04}"))).collect();
    assert!(tails.len() > 9_000, "{} of 10000", tails.len());
    assert_ne!(vault.number_tail("0100"), Vault::new(&[8; 32]).number_tail("0100"));
}

#[test]
fn a_reason_opens_for_its_verification_only() {
    let vault = vault();
    let now = Timestamp::from_millis(1_795_000_000_000);
    let sealed = vault.seal_reason(id(), NumberIndex([1; 16]), now, "she called, Müller").unwrap();
    assert_eq!(vault.open_reason(id(), &sealed).as_deref(), Ok("she called, Müller"));
    let other = VerificationId::new(Timestamp::from_millis(1), Bucket::new(5), 77);
    assert!(vault.open_reason(other, &sealed).is_err());
}

#[test]
fn sealed_data_opens_only_whole_with_its_key_and_in_its_place() {
    let vault = vault();
    let now = Timestamp::from_millis(1_795_000_000_000);
    let personal = |place: &[u8]| vault.seal_personal(now, Some(NumberIndex([9; 16])), place, b"secret");
    for sealed in [vault.seal(b"here", b"secret"), personal(b"here").unwrap()] {
        assert_eq!(&**vault.open(b"here", &sealed).unwrap(), b"secret");
        assert_eq!(vault.open(b"there", &sealed), Err(CannotOpen::Damaged));
        assert!(Vault::new(&[8; 32]).open(b"here", &sealed).is_err());
        for index in 0..sealed.0.len() {
            let mut damaged = sealed.clone();
            damaged.0[index] ^= 1;
            assert!(vault.open(b"here", &damaged).is_err(), "byte {index} may not be changed");
            assert!(vault.open(b"here", &Sealed(sealed.0[..index].into())).is_err());
        }
    }
    assert_ne!(vault.seal(b"here", b"x"), vault.seal(b"here", b"x"), "each has a nonce of its own");
    assert_ne!(personal(b"here").unwrap(), personal(b"here").unwrap());
}

#[test]
fn a_code_dies_after_its_time_and_a_person_after_the_day() {
    let vault = vault();
    let derived = request(&vault, vault.new_code(id()).unwrap());
    let custom = request(&vault, vault.custom_code(id(), "Ab12").unwrap());
    let made = id().created_at();
    assert_eq!(vault.forget_codes(made + Duration::from_secs(11 * 60)).unwrap(), 0);
    assert!(vault.code(&derived, 6).is_ok() && vault.code(&custom, 6).is_ok());
    assert_eq!(vault.forget_codes(made + Duration::from_secs(12 * 60)).unwrap(), 1);
    for request in [&derived, &custom] {
        assert!(matches!(vault.code(request, 6), Err(CannotOpen::Removed)));
        assert!(vault.open_person(request).is_ok());
    }
    assert_eq!(vault.forget_days(made).unwrap(), 0);
    assert_eq!(vault.forget_days(made + DAY).unwrap(), 1);
    assert_eq!(vault.open_person(&derived), Err(CannotOpen::Removed));
}

#[test]
fn a_number_is_forgotten_alone() {
    let vault = vault();
    let of = |number: &str| {
        let person = Person { to: number.to_owned(), metadata: BTreeMap::new() };
        Request {
            person: vault.seal_person(id(), &person).unwrap(),
            ..request(&vault, vault.new_code(id()).unwrap())
        }
    };
    let (hers, his) = (of("+12025550100"), of("+12025550101"));
    let number = vault.number_index(&Phone::parse("+12025550100").unwrap());
    let now = id().created_at();
    let reason = vault.seal_reason(id(), number, now, "she called").unwrap();
    let keys = BTreeSet::from([Vault::day_key_of(&hers.person).unwrap()]);
    assert_eq!(vault.forget_person(&[number], &keys).unwrap(), 1);
    assert_eq!(vault.open_person(&hers), Err(CannotOpen::Removed));
    assert_eq!(vault.open_reason(id(), &reason), Err(CannotOpen::Removed));
    assert_eq!(vault.open_person(&his).unwrap().to, "+12025550101");
    assert_eq!(vault.open_person(&of("+12025550100")).unwrap().to, "+12025550100", "who comes back");
}

#[test]
fn the_keyed_hash_is_hmac_sha_256() {
    // RFC 4231, test case 1, whose key of 20 bytes is padded with zeros just as ours of 32 is.
    let mut key = [0; 32];
    key[..20].fill(0x0b);
    let tag = keyed(&key).chain_update(b"Hi There").finalize().into_bytes();
    assert_eq!(tag[..4], [0xb0, 0x34, 0x4c, 0x61]);
}
