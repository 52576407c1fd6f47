extension ModelEndpointAccess {
    /// Everybody, with credentials or without.
    static let everybody = "allUsers"

    /// Who is to hold the role.
    static func wanted(_ spec: ModelEndpoint.Spec) -> Set<String> {
        guard let access = spec.access else { return [] }
        return access.allowUnauthenticated ? [everybody] : Set(access.invokers ?? [])
    }

    /// Why everybody may not call it; nil where that is not asked for, or allowed.
    static func publicProblem(_ observation: Observation) -> String? {
        guard let access = observation.spec.access, access.allowUnauthenticated else { return nil }
        guard access.invokers?.isEmpty ?? true else {
            return "access.invokers have no effect with allowUnauthenticated"
        }
        let allowed = observation.configuration.publicNamespaces
        guard allowed.contains(observation.namespace) || allowed.contains("*") else {
            return "access.allowUnauthenticated: the operator's --public-endpoints does not name the namespace "
                + observation.namespace
        }
        return nil
    }
}
