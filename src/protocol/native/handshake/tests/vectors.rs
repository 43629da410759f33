//! The vectors of an independent implementation: every byte that is written, every value in
//! between, and the place of every refusal.

#[cfg(feature = "aws-lc-rs")]
use super::super::dialer::Secrets;
use super::super::schedule::{self, Exchange};
use super::*;
#[cfg(feature = "aws-lc-rs")]
use crate::protocol::ephemeral::Ephemeral;
use crate::protocol::native::derive::{self, Secret};
use crate::protocol::native::{Libraries, Library};
use crate::protocol::testing::{array, hex, list, number, text, vectors};
use alloc::format;
use alloc::string::ToString;
use serde_json::Value;

fn suite(case: &Value) -> Suite {
    Suite::from_byte(u8::try_from(number(&case["suite"])).unwrap()).unwrap()
}

fn settings(value: &Value) -> Settings {
    Settings::from_bytes(array(value)).unwrap()
}

fn end(case: &Value, side: &str, random: [&str; 2], library: Library) -> End {
    let identity = Identity::from_seed(&array(&case[format!("{side}_seed")]));
    assert_eq!(
        identity.public_key().as_bytes(),
        &array(&case[format!("{side}_key")])
    );
    let settings = settings(&case[format!("{side}_settings")]);
    let parameters = Parameters {
        libraries: Libraries {
            aes_256_gcm: library,
            chacha20_poly1305: library,
            ml_kem_768: KemLibrary::RustCrypto,
        },
        ..Parameters::new(&hex(&case["namespace"]), settings)
    };
    End {
        identity: Arc::new(identity),
        random: random.map(|name| hex(&case[name])).concat(),
        parameters,
        suites: Suites::all(),
    }
}

fn dialing(case: &Value, library: Library) -> End {
    end(case, "dialer", ["x", "kem_seed_d_z"], library)
}

fn listening(case: &Value, library: Library) -> End {
    end(case, "listener", ["y", "encapsulation_randomness"], library)
}

fn check_session(session: Session, case: &Value) {
    let role = session.role();
    let (sealer, opener, exporter) = session.split();
    let (by_dialer, by_listener) = match role {
        crate::protocol::Role::Dialer => (sealer.keys(), opener.keys()),
        crate::protocol::Role::Listener => (opener.keys(), sealer.keys()),
    };
    for (direction, name) in [
        (by_dialer, "dialer_to_listener"),
        (by_listener, "listener_to_dialer"),
    ] {
        let (secret, iv) = direction.secrets();
        assert_eq!(**secret, array::<32>(&case[name]["secret"]), "{name}");
        assert_eq!(iv, array::<12>(&case[name]["iv"]), "{name}");
        let key = derive::secret(secret, "key", &[]);
        assert_eq!(*key, array::<32>(&case[name]["key"]), "{name}");
    }
    assert_eq!(**exporter.secret(), array::<32>(&case["exporter"]));
    let exported = &case["exported"];
    let mut output = vec![0; hex(&exported["bytes"]).len()];
    exporter
        .export(
            text(&exported["name"]),
            &hex(&exported["context"]),
            &mut output,
        )
        .unwrap();
    assert_eq!(output, hex(&exported["bytes"]));
}

#[test]
fn every_byte_of_both_ends_is_as_in_the_vectors() {
    for case in list(&vectors!("native-handshake.json")) {
        for &library in Library::BUILT {
            for piece in [1, 100, WHOLE] {
                let listening = listening(case, library);
                let dialing = dialing(case, library);
                let (mut dialer, hello) = dialing.dial(listening.public_key(), suite(case));
                assert_eq!(hello, hex(&case["hello"]));
                let mut listener = listening.listen();
                assert_eq!(listener.receive(&hello, piece), Ok(None));
                let answer = core::mem::take(&mut listener.output);
                assert_eq!(answer, hex(&case["answer"]));
                assert_eq!(listener.rng.draws, [32, 32]);
                let (session, proof) = conclude(&mut dialer, &answer, piece).unwrap().unwrap();
                assert_eq!(proof, hex(&case["proof"]));
                assert_eq!(session.peer(), listening.public_key());
                assert_eq!(*session.peer_settings(), listening.parameters.settings);
                check_session(session, case);
                let asked = listener.receive(&proof, piece);
                assert_eq!(asked, Ok(Some(dialing.public_key())));
                let session = listener.listener.admit(&mut vec![]).unwrap();
                assert_eq!(*session.peer_settings(), dialing.parameters.settings);
                assert_eq!(session.suite(), suite(case));
                check_session(session, case);
            }
        }
    }
}

#[test]
fn values_in_between_are_as_in_the_vectors() {
    for case in list(&vectors!("native-handshake.json")) {
        let listening = listening(case, Library::RustCrypto);
        let h0 = schedule::transcript(listening.public_key(), &hex(&case["namespace"]));
        assert_eq!(h0, array(&case["h0"]));
        let (answer, proof) = (hex(&case["answer"]), hex(&case["proof"]));
        let (exchanged, part) = answer.split_at(32 + kem::CIPHERTEXT_LEN);
        let mut hash = h0;
        for (bytes, name) in [
            (&hex(&case["hello"])[..], "h1"),
            (exchanged, "h2"),
            (part, "h3"),
            (&proof, "h4"),
        ] {
            hash = derive::hash(&[&hash, bytes]);
            assert_eq!(hash, array(&case[name]), "{name}");
        }
        let (encapsulated, agreed) = (array(&case["K"]), array(&case["Z"]));
        let exchange = Exchange::new(
            suite(case),
            Library::RustCrypto,
            &array(&case["h2"]),
            &Secret::new(encapsulated),
            &Secret::new(agreed),
        );
        assert_eq!(**exchange.secret(), array::<32>(&case["hs"]));
        let master = derive::secret(exchange.secret(), "master", &hash);
        assert_eq!(*master, array::<32>(&case["master"]));
        let next = &case["dialer_to_listener"]["next"];
        let secret = array(&case["dialer_to_listener"]["secret"]);
        let updated = derive::secret(&secret, "update", &[]);
        assert_eq!(*updated, array::<32>(&next["secret"]));
        assert_eq!(
            *derive::secret(&updated, "key", &[]),
            array::<32>(&next["key"])
        );
    }
}

/// What the dialer of the vectors keeps, where AWS-LC is to open the answer.
#[cfg(feature = "aws-lc-rs")]
fn secrets_for_aws_lc(case: &Value) -> Secrets {
    use super::super::kem::DecapsulationKey;
    use aws_lc_rs::kem::{DecapsulationKey as Key, ML_KEM_768};
    let key = Key::new(&ML_KEM_768, &hex(&case["decapsulation_key"])).unwrap();
    Secrets {
        ephemeral: Ephemeral::draw(&mut Script::new(&hex(&case["x"]))),
        decapsulation: DecapsulationKey::AwsLc(key),
    }
}

// AWS-LC draws by itself, so it is given the vectors' decapsulation key, and its encapsulation is
// opened by the other library.
#[cfg(feature = "aws-lc-rs")]
#[test]
fn aws_lc_opens_the_ciphertexts_of_the_vectors() {
    for case in list(&vectors!("native-handshake.json")) {
        let listening = listening(case, Library::AwsLc);
        let dialing = dialing(case, Library::AwsLc);
        let (mut dialer, _) = dialing.dial(listening.public_key(), suite(case));
        dialer.set_secrets(secrets_for_aws_lc(case), array(&case["h1"]));
        let (session, proof) = conclude(&mut dialer, &hex(&case["answer"]), WHOLE)
            .unwrap()
            .unwrap();
        assert_eq!(proof, hex(&case["proof"]));
        check_session(session, case);
    }
}

fn named(refusal: Refusal, at: &str) -> &'static str {
    match refusal {
        Refusal::Magic => "magic",
        Refusal::Mac => "mac",
        Refusal::Suite(_) => "suite",
        Refusal::EncapsulationKey => "ek",
        Refusal::ZeroSecret => "all-zero Z",
        Refusal::Seal if at == "listener" => "proof",
        Refusal::Seal => "answer",
        Refusal::Identity => "key",
        Refusal::Signature => "sig",
        Refusal::FinishedValue if at == "listener" => "fin_D",
        Refusal::FinishedValue => "fin_L",
        Refusal::SameIdentity => "self",
        Refusal::Settings(_) => "settings",
        Refusal::Decapsulation | Refusal::Over => "another",
    }
}

fn refused_by_listener(case: &Value, library: Library, kem: KemLibrary, piece: usize) -> Refusal {
    let mut listening = listening(case, library);
    listening.parameters.libraries.ml_kem_768 = kem;
    listening.suites = list(&case["suites"])
        .iter()
        .filter_map(|byte| Suite::from_byte(u8::try_from(number(byte)).unwrap()))
        .fold(Suites::none(), Suites::and);
    let mut listener = listening.listen();
    let hello = listener.receive(&hex(&case["hello"]), piece);
    if case["proof"].is_null() {
        let refusal = hello.unwrap_err();
        // Nothing is said to a stranger, and nothing drawn before the mac is right.
        assert!(listener.output.is_empty());
        let early = matches!(refusal, Refusal::Magic | Refusal::Mac | Refusal::Suite(_));
        assert_eq!(listener.rng.draws.is_empty(), early);
        return refusal;
    }
    assert_eq!(hello, Ok(None));
    assert_eq!(listener.output.len(), ANSWER_LEN);
    let refusal = listener.receive(&hex(&case["proof"]), piece).unwrap_err();
    assert_eq!(listener.output.len(), ANSWER_LEN);
    refusal
}

fn refused_by_dialer(case: &Value, library: Library, piece: usize) -> Refusal {
    let dialing = dialing(case, library);
    let peer = PublicKey::from_bytes(array(&case["listener_key"])).unwrap();
    let (mut dialer, _) = dialing.dial(peer, suite(case));
    conclude(&mut dialer, &hex(&case["answer"]), piece).unwrap_err()
}

#[test]
fn every_bad_message_is_refused_at_its_place_and_told_as_it_may_be() {
    let mut tried = 0;
    for case in list(&vectors!("native-handshake-reject.json")) {
        let at = text(&case["at"]);
        for &library in Library::BUILT {
            for piece in [1, WHOLE] {
                let refusal = match at {
                    "listener" => refused_by_listener(case, library, KemLibrary::RustCrypto, piece),
                    _ => refused_by_dialer(case, library, piece),
                };
                assert_eq!(named(refusal, at), case["error"], "{}", case["what"]);
                let told = match text(&case["error"]) {
                    "magic" => HandshakeError::NotNative,
                    "mac" => HandshakeError::NotForUs,
                    "suite" => HandshakeError::SuiteRefused {
                        byte: hex(&case["hello"])[4],
                    },
                    "self" => HandshakeError::SameIdentity,
                    "settings" => match HandshakeError::from(refusal) {
                        HandshakeError::Settings(error) => HandshakeError::Settings(error),
                        other => panic!("{other}"),
                    },
                    _ => HandshakeError::Failed,
                };
                assert_eq!(HandshakeError::from(refusal), told, "{}", case["what"]);
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 92 * 2 * Library::BUILT.len());
}

// What a listener refuses before its answer does not go by what it draws, and what a dialer refuses
// goes by the key that the vectors have.
#[cfg(feature = "aws-lc-rs")]
#[test]
fn bad_messages_are_refused_by_aws_lc_as_well() {
    let (mut encapsulation_keys, mut answers) = (0, 0);
    for case in list(&vectors!("native-handshake-reject.json")) {
        let at = text(&case["at"]);
        let refusal = match at {
            "listener" if case["proof"].is_null() => {
                encapsulation_keys += usize::from(case["error"] == "ek");
                refused_by_listener(case, Library::AwsLc, KemLibrary::AwsLc, WHOLE)
            }
            "listener" => continue,
            _ => {
                answers += 1;
                let dialing = dialing(case, Library::AwsLc);
                let peer = PublicKey::from_bytes(array(&case["listener_key"])).unwrap();
                let (mut dialer, hello) = dialing.dial(peer, suite(case));
                let h0 = schedule::transcript(peer, &hex(&case["namespace"]));
                dialer.set_secrets(secrets_for_aws_lc(case), derive::hash(&[&h0, &hello]));
                conclude(&mut dialer, &hex(&case["answer"]), WHOLE).unwrap_err()
            }
        };
        assert_eq!(named(refusal, at), case["error"], "{}", case["what"]);
    }
    assert!(encapsulation_keys > 0 && answers > 0);
}

#[test]
fn magic_is_refused_at_the_byte_that_differs() {
    for place in 0..MAGIC.len() {
        let (mut magic, mut listener) = (MAGIC, End::new(2).listen());
        magic[place] ^= 1;
        assert_eq!(listener.receive(&magic[..place], 1), Ok(None));
        let refused = listener.receive(&magic[place..=place], 1);
        assert_eq!(refused, Err(Refusal::Magic));
    }
    let text = HandshakeError::NotNative.to_string();
    assert!(text.contains("wires"), "{text}");
}
