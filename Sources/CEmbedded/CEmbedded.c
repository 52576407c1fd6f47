#include "CEmbedded.h"

static const unsigned char trainingjobs[] = {
#embed "../../crds/trainingjobs.yaml"
};

static const unsigned char gcsartifacts[] = {
#embed "../../crds/gcsartifacts.yaml"
};

static const unsigned char modelendpoints[] = {
#embed "../../crds/modelendpoints.yaml"
};

static const unsigned char rules[] = {
#embed "../../charts/trainyard/files/clusterrole-rules.yaml"
};

struct trainyard_embedded_file trainyard_embedded_trainingjobs_crd(void) {
    return (struct trainyard_embedded_file){trainingjobs, sizeof trainingjobs};
}

struct trainyard_embedded_file trainyard_embedded_gcsartifacts_crd(void) {
    return (struct trainyard_embedded_file){gcsartifacts, sizeof gcsartifacts};
}

struct trainyard_embedded_file trainyard_embedded_modelendpoints_crd(void) {
    return (struct trainyard_embedded_file){modelendpoints, sizeof modelendpoints};
}

struct trainyard_embedded_file trainyard_embedded_clusterrole_rules(void) {
    return (struct trainyard_embedded_file){rules, sizeof rules};
}
