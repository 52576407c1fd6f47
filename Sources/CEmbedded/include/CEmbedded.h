#pragma once
#include <stddef.h>

/// A file that is part of the program, so that it works outside the clone.
struct trainyard_embedded_file {
    const unsigned char *bytes;
    size_t count;
};

/// crds/trainingjobs.yaml
struct trainyard_embedded_file trainyard_embedded_trainingjobs_crd(void);
/// crds/gcsartifacts.yaml
struct trainyard_embedded_file trainyard_embedded_gcsartifacts_crd(void);
/// crds/modelendpoints.yaml
struct trainyard_embedded_file trainyard_embedded_modelendpoints_crd(void);
/// charts/trainyard/files/clusterrole-rules.yaml
struct trainyard_embedded_file trainyard_embedded_clusterrole_rules(void);
