import Kubernetes

/// Our mark on an object: while it is there, the object stays until everything of ours is gone.
public enum Finalizer {
    public static let name = "trainyard.dev/finalizer"

    /// What the two facts (has it, is deleting) mean.
    enum Action: Hashable {
        /// Set it before anything is made outside.
        case add
        /// It is set: go on.
        case proceed
        /// The object is going and we have nothing there.
        case ignore
    }

    static func action(_ metadata: ObjectMeta) -> Action {
        switch (metadata.finalizers?.contains(name) == true, metadata.isDeleting) {
        case (true, _): .proceed
        case (false, false): .add
        case (false, true): .ignore
        }
    }
}
