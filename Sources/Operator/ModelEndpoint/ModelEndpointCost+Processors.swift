extension ModelEndpointCost {
    /// A processor as if it were a predictor: it has instances of the same kind, without a GPU.
    private static func shape(_ processor: ModelEndpoint.Processor) -> ModelEndpoint.Predictor {
        var predictor = ModelEndpoint.Predictor()
        predictor.resources = processor.resources
        return predictor
    }

    /// Of one instance of the predictor and of each processor; nil where a price is not known.
    static func hourly(_ observation: ModelEndpointObservation) -> Money? {
        guard var sum = hourly(observation.predictor) else { return nil }
        for (_, processor) in ModelEndpointProcessors.wanted(observation.spec) {
            guard let hourly = hourly(shape(processor)) else { return nil }
            sum = sum + hourly
        }
        return sum
    }

    /// Why Cloud Run has no such instance; nil when it has.
    static func problem(of processor: ModelEndpoint.Processor, _ component: String) -> String? {
        problem(of: shape(processor)).map { $0.replacing("predictor.", with: "\(component).") }
    }
}
