/// What a model server finds in its environment; flags win over it.
public enum ServingEnvironment {
    /// `gs://bucket/prefix/` or a folder with `model.safetensors`.
    public static let modelURI = "ML_MODEL_URI"
    /// `sha256:<hex>`: the digest of the version's manifest. Nothing else is served.
    public static let modelDigest = "ML_MODEL_DIGEST"
    /// `gs://bucket/object` or a path: the version's manifest.
    public static let manifestURI = "ML_MODEL_MANIFEST_URI"
    /// The name that clients use; absent: `model`.
    public static let modelName = "ML_MODEL_NAME"
    /// For people and logs.
    public static let modelVersion = "ML_MODEL_VERSION"
    /// URL of the service that sees requests before the model.
    public static let upstream = "ML_UPSTREAM_URL"
    /// URL of the service that sees answers after the model.
    public static let downstream = "ML_DOWNSTREAM_URL"
    /// Where Cloud Run wants to be answered; with it the server listens on all addresses.
    public static let port = "PORT"
    /// The only address to listen on, e.g. 127.0.0.1 where the port is a whole machine's.
    public static let host = "ML_LISTEN_ADDRESS"
}
