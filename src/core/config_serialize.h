// A Config as text and back, without loss: how the master hands the configuration that it has
// checked to its children (in a sealed memfd). Not a format for people; secrets are in it. Every
// field has one line, "name value", in a fixed order.
#ifndef UB_CORE_CONFIG_SERIALIZE_H_
#define UB_CORE_CONFIG_SERIALIZE_H_

#include <string>
#include <string_view>

#include "core/config.h"
#include "core/status.h"

namespace ub {

std::string SerializeConfig(const Config& config);

// Error kInvalid: not a text of SerializeConfig of this version.
Result<Config> ParseSerializedConfig(std::string_view text);

}  // namespace ub

#endif  // UB_CORE_CONFIG_SERIALIZE_H_
