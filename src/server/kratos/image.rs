//! Which images are an identity server.

/// Whether the last path element of `image`, without tag and digest, is one of `names`.
#[must_use]
pub fn runs_kratos(image: &str, names: &[String]) -> bool {
    let without_digest = image.split('@').next().unwrap_or_default();
    let last = without_digest.rsplit('/').next().unwrap_or_default();
    let name = last.split(':').next().unwrap_or_default();
    names.iter().any(|known| known == name)
}

#[cfg(test)]
mod tests {
    use super::runs_kratos;

    #[test]
    fn the_last_path_element_decides() {
        let names = ["kratos".to_owned()];
        for image in [
            "kratos",
            "oryd/kratos:v1.3.1",
            "registry:5000/oryd/kratos",
            "registry:5000/oryd/kratos:v1@sha256:00",
            "kratos@sha256:00",
        ] {
            assert!(runs_kratos(image, &names), "{image}");
        }
        for image in [
            "",
            "oryd/kratos-selfservice-ui:v1",
            "kratos/nginx",
            "registry/kratos/x:kratos",
            "nginx:kratos",
            "oryd/hydra",
        ] {
            assert!(!runs_kratos(image, &names), "{image}");
        }
    }
}
