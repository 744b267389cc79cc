using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Uml.Core.Boot;
using Uml.Core.Clock;

namespace Uml.Core.Machine;

/// <summary>Composes a machine: options, devices and whatever they need, as services of the machine's own container.</summary>
/// <remarks>A builder builds one machine. It is not safe for use by several threads at once.</remarks>
public sealed class VirtualMachineBuilder
{
    private static readonly DateTimeOffset VirtualStartTime = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private bool _built;

    /// <summary>A machine without devices: RAM, a CPU and a clock.</summary>
    public VirtualMachineBuilder()
    {
        Services.AddOptions();
        Services.AddSingleton<IValidateOptions<MachineOptions>, MachineOptionsValidator>();
    }

    /// <summary>
    /// The machine's services. Each <c>IMachineDevice</c> among them becomes part of the machine; an <c>ILoggerFactory</c>, a
    /// <see cref="TimeProvider"/> and an <c>IMeterFactory</c> are used when present.
    /// </summary>
    public IServiceCollection Services { get; } = new ServiceCollection();

    /// <summary>Changes the machine's options.</summary>
    public VirtualMachineBuilder Configure(Action<MachineOptions> configure)
    {
        Services.Configure(configure);
        return this;
    }

    /// <summary>Changes the boot options.</summary>
    public VirtualMachineBuilder ConfigureBoot(Action<BootOptions> configure)
    {
        Services.Configure(configure);
        return this;
    }

    /// <summary>Boots a kernel file of the host: bzImage, vmlinux ELF, multiboot ELF, compressed or not. It is read when the machine starts.</summary>
    /// <param name="path">The kernel.</param>
    /// <param name="initrd">The initial RAM disk; null boots without.</param>
    /// <param name="commandLine">The kernel's command line; null leaves it as it is.</param>
    public VirtualMachineBuilder UseKernel(string path, string? initrd = null, string? commandLine = null) =>
        UseKernel(BootFile.FromPath(path), initrd is null ? null : BootFile.FromPath(initrd), commandLine);

    /// <summary>Boots a kernel.</summary>
    /// <param name="kernel">The kernel.</param>
    /// <param name="initrd">The initial RAM disk; null boots without.</param>
    /// <param name="commandLine">The kernel's command line; null leaves it as it is.</param>
    public VirtualMachineBuilder UseKernel(BootFile kernel, BootFile? initrd = null, string? commandLine = null)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        return ConfigureBoot(boot =>
        {
            boot.Kernel = kernel;
            boot.Initrd = initrd;
            boot.CommandLine = commandLine ?? boot.CommandLine;
        });
    }

    /// <summary>Builds the machine and attaches its devices.</summary>
    /// <exception cref="MachineConfigurationException">An option is wrong; the message says what to do.</exception>
    /// <exception cref="InvalidOperationException">The builder has built its machine already, or a service cannot be made.</exception>
    public IVirtualMachine Build()
    {
        (ServiceProvider services, MachineOptions options) = BuildServices();
        MachineHardware? hardware = null;
        try
        {
            MachineClock clock = CreateClock(options, services.GetRequiredService<TimeProvider>());
            hardware = CreateHardware(services, options, clock);
            var machine = new VirtualMachine(services, options, hardware, clock);
            machine.AttachDevices();
            return machine;
        }
        catch
        {
            try
            {
                End(services);
            }
            finally
            {
                hardware?.Dispose();
            }

            throw;
        }
    }

    /// <summary>Makes the container of the machine that the builder is for.</summary>
    internal (ServiceProvider Services, MachineOptions Options) BuildServices()
    {
        if (_built)
        {
            throw new InvalidOperationException("This builder has built its machine; make a builder for each machine.");
        }

        _built = true;
        Services.TryAddSingleton<ILoggerFactory>(NullLoggerFactory.Instance);
        Services.TryAdd(ServiceDescriptor.Singleton(typeof(ILogger<>), typeof(Logger<>)));
        Services.TryAddSingleton(TimeProvider.System);
        Services.TryAddSingleton<IMachineHardwareFactory, MachineHardwareFactory>();
        ServiceProvider services = Services.BuildServiceProvider();
        try
        {
            return (services, GetOptions(services));
        }
        catch
        {
            End(services);
            throw;
        }
    }

    /// <summary>What the guest's calendar shows at guest time zero.</summary>
    internal static DateTimeOffset GetStartTime(MachineOptions options, TimeProvider provider) =>
        options.StartTime ?? (options.ClockMode == ClockMode.Virtual ? VirtualStartTime : provider.GetUtcNow());

    // Some services may implement asynchronous disposal only; there is no synchronization context here that waiting could block.
    private static void End(ServiceProvider services) => services.DisposeAsync().AsTask().GetAwaiter().GetResult();

    private static MachineOptions GetOptions(ServiceProvider services)
    {
        try
        {
            MachineOptions options = services.GetRequiredService<IOptions<MachineOptions>>().Value;
            options.Cpu.RandomSeed = options.RandomSeed ?? (options.ClockMode == ClockMode.Virtual ? 1 : null);
            return options;
        }
        catch (OptionsValidationException e)
        {
            throw new MachineConfigurationException(string.Join(Environment.NewLine, e.Failures), e);
        }
    }

    private static MachineHardware CreateHardware(ServiceProvider services, MachineOptions options, MachineClock clock)
    {
        try
        {
            return services.GetRequiredService<IMachineHardwareFactory>().Create(options, clock, services.GetRequiredService<ILoggerFactory>());
        }
        catch (InsufficientMemoryException e)
        {
            throw new MachineConfigurationException($"Machine '{options.Name}' gets no memory: {e.Message}", e);
        }
    }

    private static MachineClock CreateClock(MachineOptions options, TimeProvider provider) => options.ClockMode == ClockMode.Virtual
        ? new VirtualTimeClock(GetStartTime(options, provider))
        : new RealTimeClock(provider, GetStartTime(options, provider));
}
