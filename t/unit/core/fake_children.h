// Small children for the tests of the master: they speak its protocol and nothing else. See
// master_fixture.h.
#ifndef UB_UNIT_CORE_FAKE_CHILDREN_H_
#define UB_UNIT_CORE_FAKE_CHILDREN_H_

#include "core/child_process.h"

namespace ub {

int FakeWorkerMain(ChildContext& context);
int FakeControllerMain(ChildContext& context);

}  // namespace ub

#endif  // UB_UNIT_CORE_FAKE_CHILDREN_H_
