// The usual call of the fast path without Python in it: kernels that inductor wrote, called by an autograd node.
//
// `apply(formula, x, parameters)` answers None wherever something is unusual (another device, a transform, a mode, a trace, a
// parameter that is trained, no kernel yet): the Python code of fused.py then does the same, for every case.

#include <ATen/Parallel.h>
#include <torch/csrc/Exceptions.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/python_variable.h>
#include <torch/csrc/utils/pybind.h>

#include <map>
#include <tuple>

namespace py = pybind11;

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Word = uintptr_t;

constexpr size_t kMostArguments = 8;

// A compiled function of addresses and one length. `order` says which of [grad, x, parameters..., result, length] each of its
// arguments is; a forward pass has no grad.
struct Pass {
  Word address = 0;
  std::vector<int> order;

  void operator()(const std::vector<Word>& given) const {
    Word a[kMostArguments] = {};
    for (size_t i = 0; i < order.size(); ++i) a[i] = given[order[i]];
    // Addresses and 64-bit numbers are passed alike on the processors that PyTorch knows, and those left over are ignored.
    reinterpret_cast<void (*)(Word, Word, Word, Word, Word, Word, Word, Word)>(address)(
        a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]);
  }
};

struct Kernel {
  py::handle formula;
  Pass forward, backward;  // address 0 until it is there
};

// As node.py's.
using Key = std::tuple<PyObject*, size_t, at::ScalarType, bool, int>;

std::map<Key, Kernel> kernels;  // a kernel, once in it, stays
py::handle differentiate;
int64_t smallest = 0, small = 0;

bool plain(const Tensor& x) {
  static const c10::DispatchKeySet usual = at::empty({0}).key_set();
  return usual.has_all(x.key_set());
}

// Whether nothing but autograd and autocast sees the operations of this thread: no functorch, mode or tracer.
bool unobserved() {
  static const c10::DispatchKeySet usual = c10::default_included_set | c10::autocast_dispatch_keyset;
  return usual.has_all(c10::impl::tls_local_dispatch_key_set().included_);
}

// The result of a pass on [grad,] x, parameters...: like the first of them.
Tensor run(const Pass& pass, const variable_list& inputs) {
  Tensor result = at::empty_like(inputs[0]);
  std::vector<Word> given;
  given.reserve(inputs.size() + 2);
  for (const Tensor& input : inputs) given.push_back(reinterpret_cast<Word>(input.const_data_ptr()));
  given.push_back(reinterpret_cast<Word>(result.mutable_data_ptr()));
  given.push_back(static_cast<Word>(result.numel()));
  pass(given);
  return result;
}

struct Fused : torch::autograd::Function<Fused> {
  // x is an argument of its own, since its edge in the graph is made from that.
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const variable_list& inputs, const Kernel* kernel) {
    ctx->saved_data["kernel"] = static_cast<int64_t>(reinterpret_cast<Word>(kernel));
    ctx->save_for_backward(inputs);
    return run(kernel->forward, inputs);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto& kernel = *reinterpret_cast<const Kernel*>(static_cast<Word>(ctx->saved_data["kernel"].toInt()));
    variable_list inputs = ctx->get_saved_variables();
    const Tensor x = inputs[0];
    Tensor grad = grads[0];
    // A hook on saved tensors may bring x back in another form.
    if (at::GradMode::is_enabled() || !unobserved() || !plain(grad) || !plain(x) || !x.is_non_overlapping_and_dense())
      return {by_formula(kernel, grad, inputs), Tensor(), Tensor()};
    if (grad.strides() != x.strides() || grad.scalar_type() != x.scalar_type()) grad = at::empty_like(x).copy_(grad);
    inputs.insert(inputs.begin(), grad);
    return {run(kernel.backward, inputs), Tensor(), Tensor()};
  }

  static Tensor by_formula(const Kernel& kernel, const Tensor& grad, const variable_list& inputs) {
    py::gil_scoped_acquire gil;
    return py::cast<Tensor>(differentiate(kernel.formula, grad, inputs));
  }
};

bool exact(PyObject* object) {
  return THPVariable_CheckExact(object) || Py_TYPE(object) == reinterpret_cast<PyTypeObject*>(ParameterClass);
}

// A parameter as a number in float32, or an undefined tensor where it is anything else.
Tensor number(PyObject* object) {
  if (PyFloat_CheckExact(object)) {
    Tensor scalar = at::detail::empty_cpu({}, at::kFloat);
    *scalar.mutable_data_ptr<float>() = static_cast<float>(PyFloat_AS_DOUBLE(object));
    return scalar;
  }
  if (!exact(object)) return {};
  const Tensor& tensor = THPVariable_Unpack(object);
  const bool usable = tensor.scalar_type() == at::kFloat && tensor.numel() == 1 && plain(tensor) &&
      !(tensor.requires_grad() && at::GradMode::is_enabled()) && !tensor._fw_grad(0).defined();
  return usable ? tensor : Tensor();
}

PyObject* apply(PyObject*, PyObject* const* given, Py_ssize_t count) {
  HANDLE_TH_ERRORS
  TORCH_CHECK(count == 3 && PyTuple_CheckExact(given[2]), "apply(formula, x, parameters)");
  if (!exact(given[1])) Py_RETURN_NONE;
  const Tensor& x = THPVariable_Unpack(given[1]);
  if (!plain(x) || !unobserved() || x.numel() < smallest || !x.is_non_overlapping_and_dense() || x._fw_grad(0).defined())
    Py_RETURN_NONE;
  variable_list inputs{x};
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(given[2]); ++i) {
    inputs.push_back(number(PyTuple_GET_ITEM(given[2], i)));
    if (!inputs.back().defined()) Py_RETURN_NONE;
  }
  const bool is_small = x.numel() <= small;
  const auto found = kernels.find(
      Key{given[0], inputs.size() - 1, x.scalar_type(), is_small, is_small ? 1 : at::get_num_threads()});
  if (found == kernels.end()) Py_RETURN_NONE;
  const Kernel& kernel = found->second;
  const bool recorded = x.requires_grad() && at::GradMode::is_enabled();
  if (!kernel.forward.address || (recorded && !kernel.backward.address)) Py_RETURN_NONE;
  Tensor result;
  {
    py::gil_scoped_release no_gil;
    result = recorded ? Fused::apply(x, inputs, &kernel) : run(kernel.forward, inputs);
  }
  return THPVariable_Wrap(std::move(result));
  END_HANDLE_TH_ERRORS
}

PyMethodDef methods[] = {
    {"apply", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(apply)), METH_FASTCALL, nullptr},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

PYBIND11_MODULE(lpflu_bench_node, module) {
  PyModule_AddFunctions(module.ptr(), methods);
  module.def("set_up", [](py::object function, int64_t largest) {
    differentiate = function.release();
    small = largest;
  });
  module.def("set_smallest", [](int64_t elements) { smallest = elements; });
  module.def("add", [](py::object formula, size_t parameters, at::ScalarType dtype, bool is_small, int threads,
                       const std::pair<Word, std::vector<int>>& pass, bool backward) {
    if (pass.second.size() > kMostArguments) return;  // the Python code runs it
    Kernel& kernel = kernels[Key{formula.ptr(), parameters, dtype, is_small, threads}];
    kernel.formula = formula.release();  // kept, as the key's address
    (backward ? kernel.backward : kernel.forward) = Pass{pass.first, pass.second};
  });
}
