#include "route/simulator.h"
