/// The specification: each operation as its formula says, scalar, in Double, over row-major arrays.
///
/// Every fast backend is tested against these functions, and they are tested against numeric gradients.
public enum Reference {}
