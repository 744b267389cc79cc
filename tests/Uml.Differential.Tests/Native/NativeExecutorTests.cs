using Iced.Intel;
using Uml.Differential.Tests.Engines;
using static Iced.Intel.AssemblerRegisters;

namespace Uml.Differential.Tests.Native;

[TestFixture]
[Platform("Linux")]
internal sealed class NativeExecutorTests
{
    private NativeExecutor _native = null!;
    private byte[] _memory = null!;

    [SetUp]
    public void SetUp()
    {
        if (!NativeExecutor.IsSupported)
        {
            Assert.Ignore("The host is not Linux on x86-64.");
        }

        _native = new NativeExecutor();
        _memory = new byte[Layout.MemorySize];
    }

    [TearDown]
    public void TearDown() => _native?.Dispose();

    [Test]
    public void A_program_reads_and_writes_registers_and_memory_and_ends_behind_its_last_byte()
    {
        MachineSnapshot state = Start();
        state.Gprs[3] = Layout.Data + 8;
        _memory[8] = 0x42;
        byte[] code = Assemble(a =>
        {
            a.movzx(eax, __byte_ptr[rbx]);
            a.mov(__qword_ptr[rbx + 8], rax);
            a.cmp(eax, 0x42);
        });

        _native.Execute(ref state, code, _memory);

        Assert.Multiple(() =>
        {
            Assert.That(state.Vector, Is.EqualTo(MachineSnapshot.Completed));
            Assert.That(state.Rip, Is.EqualTo(Layout.Program + (ulong)code.Length));
            Assert.That(state.Gprs[0], Is.EqualTo(0x42));
            Assert.That(state.Rflags & 0x8D5, Is.EqualTo(0x44));
            Assert.That(_memory[16], Is.EqualTo(0x42));
        });
    }

    [Test]
    public void Faults_are_recorded_with_vector_error_code_address_and_registers()
    {
        const ulong guard = Layout.Stack - 8;
        AssertFault(a => a.mov(__qword_ptr[rbx], rcx), guard, vector: 14, error: 6, cr2: guard);
        AssertFault(a => a.mov(rcx, __qword_ptr[rbx]), guard, vector: 14, error: 4, cr2: guard);
        AssertFault(a => a.mov(__qword_ptr[rbx], rcx), Layout.ReadOnlyData, vector: 14, error: 7, cr2: Layout.ReadOnlyData);
        AssertFault(a => a.jmp(rbx), Layout.Data, vector: 14, error: 0x15, cr2: Layout.Data);
        AssertFault(a => a.mov(rcx, __qword_ptr[rbx]), 0x1234_5678_9ABC_DEF0, vector: 13, error: 0);
        AssertFault(a => a.movaps(xmm0, __xmmword_ptr[rbx]), Layout.Data + 1, vector: 13, error: 0);
        AssertFault(a => a.div(ebp), 0, vector: 0, error: 0);
        AssertFault(a => a.ud2(), 0, vector: 6, error: 0);
        AssertFault(a => a.int3(), 0, vector: 3, error: 0);
        AssertFault(a => a.hlt(), 0, vector: 13, error: 0);
        AssertFault(a => a.@int(0x33), 0, vector: 13, error: (0x33 * 8) + 2);
    }

    [Test]
    public void The_runtimes_own_faults_still_become_exceptions()
    {
        string? missing = null;
        int zero = 0;
        Assert.Multiple(() =>
        {
            Assert.That(() => missing!.Length, Throws.TypeOf<NullReferenceException>());
            Assert.That(() => 1 / zero, Throws.TypeOf<DivideByZeroException>());
        });
    }

    private void AssertFault(Action<Assembler> program, ulong address, int vector, uint error, ulong cr2 = 0)
    {
        MachineSnapshot state = Start();
        state.Gprs[3] = address;
        state.Gprs[5] = 0;
        state.Gprs[15] = 0x1516;
        _native.Execute(ref state, Assemble(program), _memory);
        string name = $"vector {vector} at 0x{address:x}";
        Assert.Multiple(() =>
        {
            Assert.That(state.Vector, Is.EqualTo(vector), name);
            Assert.That(state.ErrorCode, Is.EqualTo(error), name);
            Assert.That(state.Gprs[15], Is.EqualTo(0x1516), name);
            Assert.That(vector != 14 || state.Cr2 == cr2, name);
        });
    }

    private static MachineSnapshot Start()
    {
        var state = new MachineSnapshot { Rip = Layout.Program, Rflags = 0x202, Mxcsr = 0x1F80, ControlWord = 0x37F };
        state.Gprs[4] = Layout.Stack + 0x800;
        return state;
    }

    private static byte[] Assemble(Action<Assembler> program)
    {
        var assembler = new Assembler(64);
        program(assembler);
        var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), Layout.Program);
        return stream.ToArray();
    }
}
