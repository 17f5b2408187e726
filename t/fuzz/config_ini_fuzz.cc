// Any bytes as a configuration in INI: parsed, bound, printed and read again.
#include "config_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return ub::FuzzConfig(ub::ConfigFormat::kIni, data, size);
}
