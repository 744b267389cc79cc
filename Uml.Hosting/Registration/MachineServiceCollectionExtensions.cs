using System.Diagnostics.Metrics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Uml.Core;
using Uml.Core.Boot;
using Uml.Core.Machine;
using Uml.Hosting.Assets;
using Uml.Hosting.CommandLine;
using Uml.Hosting.Registration;

namespace Uml.Hosting;

/// <summary>Registers machines with an application's host.</summary>
public static class MachineServiceCollectionExtensions
{
    private static string[] Keys =>
    [
        nameof(MachineSettings.Memory), nameof(MachineSettings.Kernel), nameof(MachineSettings.Protocol), nameof(MachineSettings.Initrd),
        nameof(MachineSettings.CommandLine), nameof(MachineSettings.ClockMode), nameof(MachineSettings.StartTime), nameof(MachineSettings.Seed),
        nameof(MachineSettings.Engine), nameof(MachineSettings.CpuModel), nameof(MachineSettings.TranslationCheck),
    ];

    /// <summary>
    /// Registers a machine with the standard board: a singleton <see cref="IVirtualMachine"/> with the machine's name as its key (the
    /// first one also without), built when it is asked for, and started and stopped with the host.
    /// </summary>
    /// <remarks>
    /// The machine gets the host's logging, metrics and <see cref="TimeProvider"/>; its own services are its own. A
    /// <see cref="GuestAssetCache"/> among the host's services is where kernels that settings name come from.
    /// </remarks>
    /// <param name="services">The host's services.</param>
    /// <param name="name">The machine's name.</param>
    /// <param name="configure">Composes the machine; is given the host's services too.</param>
    /// <param name="options">What the host does with it; null for the defaults.</param>
    public static IServiceCollection AddVirtualMachine(
        this IServiceCollection services,
        string name,
        Action<VirtualMachineBuilder, IServiceProvider> configure,
        MachineHostOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(configure);
        services.AddKeyedSingleton(name, (host, _) => Build(host, name, configure));
        services.TryAddSingleton(host => host.GetRequiredKeyedService<IVirtualMachine>(name));
        services.AddSingleton<IHostedService>(host => new MachineHostedService(
            host.GetRequiredKeyedService<IVirtualMachine>(name),
            options ?? new MachineHostOptions(),
            host.GetRequiredService<IHostApplicationLifetime>()));
        return services;
    }

    /// <summary>Registers a machine as a configuration section describes it; the keys are those of <see cref="MachineSettings"/>.</summary>
    /// <param name="services">The host's services.</param>
    /// <param name="name">The machine's name.</param>
    /// <param name="section">The section.</param>
    /// <param name="configure">Composes what configuration does not; null adds nothing.</param>
    /// <param name="options">What the host does with it; null for the defaults.</param>
    public static IServiceCollection AddVirtualMachine(
        this IServiceCollection services,
        string name,
        IConfiguration section,
        Action<VirtualMachineBuilder, IServiceProvider>? configure = null,
        MachineHostOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(section);
        return services.AddVirtualMachine(
            name,
            (builder, host) =>
            {
                builder.Configure(section, host.GetService<GuestAssetCache>());
                configure?.Invoke(builder, host);
            },
            options);
    }

    /// <summary>Makes a machine what a configuration section describes; the keys are those of <see cref="MachineSettings"/>.</summary>
    /// <param name="builder">The machine.</param>
    /// <param name="section">The section.</param>
    /// <param name="assets">Where packages that it names come from, when the machine starts; null is the default cache.</param>
    /// <exception cref="MachineConfigurationException">A value is wrong; the message says what to write.</exception>
    public static VirtualMachineBuilder Configure(this VirtualMachineBuilder builder, IConfiguration section, GuestAssetCache? assets = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(section);
        RefuseUnknownKeys(section);
        MachineSettings settings = new();
        try
        {
            section.Bind(settings);
        }
        catch (InvalidOperationException e)
        {
            throw new MachineConfigurationException($"The machine's configuration cannot be read: {e.Message}", e);
        }

        BootFile? kernel = GetFile("Kernel", settings.Kernel, NamedFile.Kernel, assets), initrd = GetFile("Initrd", settings.Initrd, NamedFile.Initrd, assets);
        return builder.Configure(machine => Apply(settings, machine)).ConfigureBoot(boot =>
        {
            boot.Protocol = settings.Protocol;
            boot.Kernel = kernel ?? boot.Kernel;
            boot.Initrd = initrd ?? boot.Initrd;
            boot.CommandLine = settings.CommandLine ?? boot.CommandLine;
        });
    }

    private static void Apply(MachineSettings settings, MachineOptions machine)
    {
        machine.ClockMode = settings.ClockMode;
        machine.StartTime = settings.StartTime ?? machine.StartTime;
        machine.RandomSeed = settings.Seed ?? machine.RandomSeed;
        machine.Cpu.Engine = settings.Engine ?? machine.Cpu.Engine;
        machine.Cpu.Model = settings.CpuModel ?? machine.Cpu.Model;
        machine.Cpu.TranslationCheck = settings.TranslationCheck ?? machine.Cpu.TranslationCheck;
        if (settings.Memory is { } memory)
        {
            machine.MemorySize = memory.Length > 0 && memory.All(char.IsAsciiDigit)
                ? throw new MachineConfigurationException($"Memory is '{memory}', of which unit? Write {memory}M for mebibytes, or {memory}B for bytes.")
                : ByteSize.TryParse(memory, out ulong bytes, out string? problem)
                    ? bytes
                    : throw new MachineConfigurationException($"Memory: {problem}");
        }
    }

    private static BootFile? GetFile(string key, string? name, Func<string, GuestAssetCache?, BootFile> open, GuestAssetCache? assets) => name switch
    {
        null => null,
        "" => throw new MachineConfigurationException($"{key} is empty; name a file or a package, or leave the key out."),
        _ => open(name, assets),
    };

    private static void RefuseUnknownKeys(IConfiguration section)
    {
        string[] unknown = [.. section.GetChildren().Select(child => child.Key).Except(Keys, StringComparer.OrdinalIgnoreCase)];
        if (unknown.Length > 0)
        {
            throw new MachineConfigurationException(
                $"The machine's configuration has {string.Join(" and ", unknown.Select(key => $"'{key}'"))}; the keys are {string.Join(", ", Keys)}.");
        }
    }

    private static IVirtualMachine Build(IServiceProvider host, string name, Action<VirtualMachineBuilder, IServiceProvider> configure)
    {
        VirtualMachineBuilder builder = UmlMachine.CreateDefaultBuilder().Configure(machine => machine.Name = name);

        // Instances of the host's, which the machine's container does not dispose.
        Share<ILoggerFactory>(host, builder);
        Share<IMeterFactory>(host, builder);
        Share<TimeProvider>(host, builder);
        configure(builder, host);
        return builder.Build();
    }

    private static void Share<TService>(IServiceProvider host, VirtualMachineBuilder builder)
        where TService : class
    {
        if (host.GetService<TService>() is { } service)
        {
            builder.Services.AddSingleton(service);
        }
    }
}
