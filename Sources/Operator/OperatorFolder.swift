/// The folder at an artifact's place that is the operator's: markers of completed runs, probes, what is left of removed
/// versions. It is no part of any version.
enum OperatorFolder {
    static let path = ".trainyard/"
}
