/// What kernels this program carries, in the words of a TrainingJob's `spec.trainer.kernels`.
public enum CarriedKernels {
    #if arch(x86_64)
        public static let architecture = "amd64"
        /// Without these the program does not run.
        public static let features = ["avx2", "fma"]
        static let baseVariant = "avx2"
    #else
        public static let architecture = "arm64"
        /// Without these the program does not run.
        public static let features: [String] = []
        static let baseVariant = "neon"
    #endif
}
