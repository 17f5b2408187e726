// The environment as a source of configuration: ULTRA_LISTEN_PORT, ULTRA_HEALTH_CHECK_INTERVAL_MS,
// one name for every key (EnvironmentName), lists separated by commas,
// ULTRA_BACKENDS="10.0.0.1:80,app:8080:50". An empty value sets nothing.
#ifndef UB_CORE_CONFIG_ENV_H_
#define UB_CORE_CONFIG_ENV_H_

#include "core/config_bind.h"
#include "core/config_node.h"

namespace ub {

// This process's environment, whole (secrets may be taken from any variable).
EnvironmentMap CaptureEnvironment();

// The nodes of every ULTRA_ variable. One that is nearly the name of a key is a problem; another
// unknown one only a warning, since orchestrators put variables of their own into the environment.
ConfigNode EnvironmentNodes(const EnvironmentMap& environment, ConfigProblems* problems,
                            ConfigProblems* warnings);

}  // namespace ub

#endif  // UB_CORE_CONFIG_ENV_H_
