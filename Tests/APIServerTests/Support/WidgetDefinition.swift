import Encoding
import YAML

/// A custom resource with something of everything that 1.20 knows: no CEL, no selectable fields, and no int-or-string,
/// for which 1.20 cannot build the types that server-side apply needs.
enum WidgetDefinition {
    static let json: JSONValue = {
        do {
            return try YAML.document(text).json
        } catch {
            preconditionFailure("the definition is a constant: \(error)")
        }
    }()

    private static let text = """
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata: {name: widgets.example.dev}
        spec:
          group: example.dev
          scope: Namespaced
          names: {kind: Widget, listKind: WidgetList, plural: widgets, singular: widget, shortNames: [wg], categories: [all]}
          versions:
          - name: v1
            served: true
            storage: true
            subresources:
              status: {}
              scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}
            additionalPrinterColumns:
            - {name: Size, type: integer, jsonPath: .spec.size, description: How large it is.}
            - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
            - {name: Color, type: string, priority: 1, jsonPath: .spec.color}
            - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
            schema:
              openAPIV3Schema:
                type: object
                description: Widget is a thing.
                required: [spec]
                properties:
                  spec:
                    type: object
                    description: What the widget should be.
                    required: [size]
                    properties:
                      size: {type: integer, format: int32, minimum: 1, maximum: 10}
                      color: {type: string, enum: [Red, Blue], default: Red}
                      code: {type: string, maxLength: 5, minLength: 2, pattern: '^[a-z]+$'}
                      replicas: {type: integer, format: int32, default: 1}
                      note: {type: string, nullable: true}
                      weight: {type: number}
                      enabled: {type: boolean}
                      options: {type: object, additionalProperties: {type: string}, maxProperties: 2}
                      tags: {type: array, items: {type: string}, x-kubernetes-list-type: set}
                      steps: {type: array, maxItems: 3, items: {type: integer}}
                      free: {type: object, x-kubernetes-preserve-unknown-fields: true}
                      parts:
                        type: array
                        x-kubernetes-list-type: map
                        x-kubernetes-list-map-keys: [name]
                        items:
                          type: object
                          required: [name]
                          properties:
                            name: {type: string}
                            weight: {type: integer, default: 5}
                            when: {type: string, format: date-time}
                  status:
                    type: object
                    properties:
                      observedGeneration: {type: integer, format: int64}
                      replicas: {type: integer}
                      message: {type: string}
                      conditions:
                        type: array
                        x-kubernetes-list-type: map
                        x-kubernetes-list-map-keys: [type]
                        items:
                          type: object
                          required: [type, status]
                          properties: {type: {type: string}, status: {type: string}}
        """
}
