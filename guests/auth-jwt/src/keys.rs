//! Keys by the algorithm that each is for. A key has one, and a token that names another is not verified with it: so no public key is
//! ever taken for a secret.

use ed25519_dalek::VerifyingKey as EdKey;
use hmac::{Hmac, Mac};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature as EcSignature, VerifyingKey as EcKey};
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, Pkcs1v15Sign, RsaPublicKey};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::base64url;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    Hs256,
    Rs256,
    Es256,
    EdDsa,
}

pub struct Key {
    pub id: Option<String>,
    material: Material,
}

enum Material {
    Secret(Vec<u8>),
    Rsa(RsaPublicKey),
    Ec(EcKey),
    Ed(EdKey),
}

/// As RFC 7518, section 3.2, has it for SHA-256.
const SHORTEST_SECRET: usize = 32;
/// As RFC 7518, section 3.3, has it; and what a machine verifies in a reasonable time.
const RSA_BITS: core::ops::RangeInclusive<usize> = 2048..=8192;

impl Algorithm {
    pub const ALL: [Algorithm; 4] = [Algorithm::Hs256, Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Hs256 => "HS256",
            Algorithm::Rs256 => "RS256",
            Algorithm::Es256 => "ES256",
            Algorithm::EdDsa => "EdDSA",
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

impl Key {
    pub fn secret(bytes: Vec<u8>) -> Result<Self, String> {
        if bytes.len() < SHORTEST_SECRET {
            return Err(format!("a secret for HS256 has at least {SHORTEST_SECRET} bytes; this one has {}", bytes.len()));
        }
        Ok(Self { id: None, material: Material::Secret(bytes) })
    }

    /// Of one JWK; `Ok(None)`: it is for something else.
    pub fn of_jwk(jwk: &Value) -> Result<Option<Self>, String> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| text(name).and_then(base64url::decode).ok_or_else(|| format!("{name} is no base64url"));
        if text("use").is_some_and(|purpose| purpose != "sig") || !may_verify(jwk) {
            return Ok(None);
        }
        let (algorithm, material) = match (text("kty"), text("crv")) {
            (Some("oct"), _) => (Algorithm::Hs256, Self::secret(bytes("k")?)?.material),
            (Some("RSA"), _) => (Algorithm::Rs256, Material::Rsa(rsa(&bytes("n")?, &bytes("e")?)?)),
            (Some("EC"), Some("P-256")) => (Algorithm::Es256, Material::Ec(ec(&bytes("x")?, &bytes("y")?)?)),
            (Some("OKP"), Some("Ed25519")) => (Algorithm::EdDsa, Material::Ed(ed(&bytes("x")?)?)),
            (Some(_), _) => return Ok(None),
            (None, _) => return Err("kty is missing".into()),
        };
        // `Ed25519` is the newer name (RFC 9864).
        if text("alg").is_some_and(|named| named != algorithm.name() && !(algorithm == Algorithm::EdDsa && named == "Ed25519")) {
            return Ok(None);
        }
        Ok(Some(Self { id: text("kid").map(str::to_owned), material }))
    }

    pub fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Secret(_) => Algorithm::Hs256,
            Material::Rsa(_) => Algorithm::Rs256,
            Material::Ec(_) => Algorithm::Es256,
            Material::Ed(_) => Algorithm::EdDsa,
        }
    }

    pub fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            // Compares in constant time.
            Material::Secret(secret) => Hmac::<Sha256>::new_from_slice(secret).is_ok_and(|mac| mac.chain_update(signed).verify_slice(signature).is_ok()),
            Material::Rsa(key) => key.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(signed), signature).is_ok(),
            // Sixty-four bytes, neither half zero or too large.
            Material::Ec(key) => EcSignature::from_slice(signature).is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
            Material::Ed(key) => {
                ed25519_dalek::Signature::from_slice(signature).is_ok_and(|signature| key.verify_strict(signed, &signature).is_ok())
            }
        }
    }
}

fn may_verify(jwk: &Value) -> bool {
    match jwk.get("key_ops") {
        None => true,
        Some(ops) => ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify")),
    }
}

fn rsa(n: &[u8], e: &[u8]) -> Result<RsaPublicKey, String> {
    let (n, e) = (BigUint::from_bytes_be(n), BigUint::from_bytes_be(e));
    if !RSA_BITS.contains(&n.bits()) {
        return Err(format!("an RSA key has {} to {} bits; this one has {}", RSA_BITS.start(), RSA_BITS.end(), n.bits()));
    }
    let key = RsaPublicKey::new_with_max_size(n, e, *RSA_BITS.end()).map_err(|_| "n and e are no RSA key".to_owned())?;
    if key.e() < &BigUint::from(3u8) { Err("e is too small".into()) } else { Ok(key) }
}

fn ec(x: &[u8], y: &[u8]) -> Result<EcKey, String> {
    if x.len() != 32 || y.len() != 32 {
        return Err("x and y have 32 bytes each".into());
    }
    let point = [&[4u8], x, y].concat();
    EcKey::from_sec1_bytes(&point).map_err(|_| "x and y are no point of P-256".to_owned())
}

fn ed(x: &[u8]) -> Result<EdKey, String> {
    let bytes = x.try_into().map_err(|_| "x has 32 bytes".to_owned())?;
    let key = EdKey::from_bytes(bytes).map_err(|_| "x is no point of Ed25519".to_owned())?;
    if key.is_weak() { Err("x is a weak key".into()) } else { Ok(key) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// RFC 8037, A.4: a signature over what is no JSON, and so no token.
    #[test]
    fn the_example_of_rfc_8037_verifies_and_nothing_near_it() {
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        let key = Key::of_jwk(&jwk).unwrap().unwrap();
        let signed = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let text = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let mut signature = base64url::decode(text).unwrap();
        assert!(key.verifies(signed, &signature));
        assert!(!key.verifies(&signed[1..], &signature));
        signature[5] ^= 1;
        assert!(!key.verifies(signed, &signature));
    }
}
